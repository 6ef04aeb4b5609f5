"""What was read on a video's screen: WebVTT as transcripts are, a cue a text, named by the text's box.

A cue's name is "left top right bottom", in shares of the picture's width and height. A person may correct
texts and times, and write cues without a box.
"""

import re
from pathlib import Path

from engine.errors import InvalidInput
from engine.texts import Box, Line
from trainer.ingest.encodings import decode
from trainer.ingest.grammar import VTT_ASIDES, Times, timing
from trainer.ingest.markup import clean
from trainer.ingest.subtitles import LONGEST_CUE

# More is no reading: a day of texts has a tenth of it.
_MOST_BYTES = 16 << 20
_BLOCKS = re.compile(r"\n(?:[ \t]*\n)+")
# A cue's beginning: its box, if any, and its times.
_BEGINNING = re.compile(r"\n((?:[\d. ]+\n)?\d[\d:.,]*[ \t]+-->)")


def read(path: Path) -> tuple[Line, ...]:
    """Return the texts of a file by start; what is no cue is passed over. Raises OSError."""
    found = (_line(block) for block in _blocks(path))
    return tuple(sorted((line for line in found if line is not None), key=lambda line: line.start))


def doubts(path: Path) -> tuple[str, ...]:
    """Return what to tell of a file: cues that a correction has left without times. Raises OSError."""
    lost = sum(_times(block) is None and not block.startswith(VTT_ASIDES) for block in _blocks(path) if block)
    if not lost:
        return ()
    return (f"{path.name}: {lost} of its cues have no times that can be used and are left out",)


def _blocks(path: Path) -> list[str]:
    """Return what is between empty lines.

    Editors save it in other encodings, with other line ends, and people forget empty lines between cues.
    """
    with path.open("rb") as file:
        data = file.read(_MOST_BYTES)
    try:
        text, _ = decode(data)
    except InvalidInput:
        text = data.decode(errors="replace")
    text = _BEGINNING.sub(r"\n\n\1", text.replace("\r\n", "\n").replace("\r", "\n"))
    return [block.strip() for block in _BLOCKS.split(text)]


def _line(block: str) -> Line | None:
    name, _, rest = _parted(block)
    times, words = _times(block), clean(rest[:LONGEST_CUE].strip())
    if times is None or not words:
        return None
    return Line(max(0.0, times[0]), times[1], " ".join(words.split()), _box(name))


def _times(block: str) -> Times | None:
    times = timing(_parted(block)[1][:LONGEST_CUE])
    return None if times is None or times[1] <= max(0.0, times[0]) else times


def _parted(block: str) -> tuple[str, str, str]:
    """Return a cue's name, its times and its words."""
    before, _, after = block.partition("-->")
    name, _, start = before.rpartition("\n")
    end, _, words = after.partition("\n")
    return name, f"{start}-->{end}", words


def _box(name: str) -> Box | None:
    try:
        left, top, right, bottom = (float(value) for value in name.split())
    except ValueError:
        return None
    return (left, top, right, bottom) if 0 <= left < right <= 1 and 0 <= top < bottom <= 1 else None
