"""What is said and written in the videos of a collection, a file a video named by its content.

<collection>/texts/<key>.json: {"said": [[start, end, text], ...], "written": [[start, end, text,
[left, top, right, bottom]], ...], "language": "en"}, lines by start. A record's info[KEY] has the key; "" or
none: no text.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import Any

from engine.entries import refuse
from engine.files import make_folder, replacing
from engine.texts import Line
from trainer.ingest.subtitles import Cue, seen

DIRECTORY = "texts"  # of a collection
KEY = "texts"  # of a record's info
# Lines of one second: a dense page has a hundred. They bound what a segment costs at each build and search.
MOST_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Texts:
    """The lines of a video by start. language: of what is said, ISO 639, "" where unknown."""

    said: tuple[Line, ...] = ()
    written: tuple[Line, ...] = ()
    language: str = ""

    def of(self, channel: str) -> tuple[Line, ...]:
        """Return the lines of a channel of `engine.texts.TEXTS`."""
        return self.said if channel == "said" else self.written


def lines_of(cues: Iterable[Cue], duration: float) -> tuple[Line, ...]:
    """Return what cues say within a video of `duration` seconds, by start."""
    return cut((Line(max(0.0, cue.start), cue.end, cue.text) for cue in cues if cue.end > 0), duration)


def cut(lines: Iterable[Line], duration: float) -> tuple[Line, ...]:
    """Return what of lines, by start, lies within a video of `duration` seconds, in each MOST_AT_ONCE."""
    shown, _ = seen(list(lines), ceil(duration), Fraction(1), MOST_AT_ONCE)
    return tuple(replace(line, end=min(duration, line.end)) for line in shown)


def read(collection: Path, info: Mapping[str, Any]) -> Texts:
    """Return the texts that a record's info names; none where it names none.

    Raises OSError, Mismatch for a file that is not as it was written.
    """
    key = info.get(KEY, "")
    if not key:
        return Texts()
    path = collection / DIRECTORY / f"{key}.json"
    data = path.read_bytes()
    if _key(data) != key:
        raise refuse(f"{path} is damaged: ingest its video again, which writes it anew.")
    value: dict[str, Any] = json.loads(data)
    said, written = (_lines(value.get(name, [])) for name in ("said", "written"))
    return Texts(said, written, str(value.get("language", "")))


def whole(collection: Path, info: Mapping[str, Any]) -> bool:
    """Tell whether the file that a record's info names is there as it was written, or none is named."""
    key = info.get(KEY, "")
    try:
        return not key or _key((collection / DIRECTORY / f"{key}.json").read_bytes()) == key
    except OSError:
        return False


def write(collection: Path, texts: Texts) -> str:
    """Keep the texts of a video; return their key, "" for none."""
    if not texts.said and not texts.written:
        return ""
    value = {"said": _rows(texts.said), "written": _rows(texts.written), "language": texts.language}
    data = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    key = _key(data)
    make_folder(collection / DIRECTORY)
    with replacing(collection / DIRECTORY / f"{key}.json") as partial:
        partial.write_bytes(data)
    return key


def _key(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:32]


def _lines(rows: Sequence[Sequence[Any]]) -> tuple[Line, ...]:
    return tuple(Line(float(row[0]), float(row[1]), str(row[2]), _box(row)) for row in rows)


def _box(row: Sequence[Any]) -> tuple[float, float, float, float] | None:
    if len(row) < 4:
        return None
    left, top, right, bottom = (float(value) for value in row[3])
    return left, top, right, bottom


def _rows(lines: Sequence[Line]) -> list[list[Any]]:
    return [
        [round(line.start, 3), round(line.end, 3), line.text, *([list(line.box)] if line.box else [])]
        for line in lines
    ]
