"""What an export keeps beside the published layout, so that its import is the collection it came from."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from engine.errors import InvalidInput
from engine.files import MALFORMED, read_json, replacing, write_json
from trainer.formats.layout import STREAMS, Layout
from trainer.formats.lines import read_lines
from trainer.formats.names import check_names
from workers.feature_store.store import Stream, VideoRecord

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Sidecar:
    """The feature store behind a layout's files.

    encoder: its fingerprint, "" where unknown. name: the encoder's. source: where it was loaded from.
    dtype: of the store. streams: of the store. files: which stream each file of features holds.
    """

    encoder: str
    name: str
    source: str
    dtype: str
    streams: Mapping[str, Stream]
    files: Mapping[str, str]


def read_sidecar(layout: Layout) -> Sidecar | None:
    """Return what an export wrote, or None beside data from elsewhere."""
    path = layout.path("sidecar")
    if not path.is_file():
        return None
    try:
        value = read_json(path)
        if value.pop("format") != FORMAT:
            raise ValueError("another format")
        streams = {name: Stream(**stream) for name, stream in value.pop("streams").items()}
        sidecar = Sidecar(streams=streams, **value)
        texts = (sidecar.encoder, sidecar.name, sidecar.source, sidecar.dtype, *sidecar.files.values())
        known = set(sidecar.files.values()) <= set(streams)
        if not known or not all(isinstance(text, str) for text in texts):
            raise ValueError("streams or texts that are none")
        if not set(sidecar.files) <= set(STREAMS) or sidecar.dtype not in ("float16", "float32"):
            raise ValueError("unknown files or element type")
    except MALFORMED as error:
        raise InvalidInput(
            f"{path} is not what this version exports ({error}); export again, or remove it."
        ) from error
    check_names(streams, "stream", path)
    if sidecar.encoder:
        check_names([sidecar.encoder], "encoder", path)
    return sidecar


def write_sidecar(layout: Layout, sidecar: Sidecar) -> None:
    """Write spr.json."""
    write_json(layout.path("sidecar"), {"format": FORMAT, **asdict(sidecar)})


def published(layout: Layout, widths: Mapping[str, int]) -> Sidecar:
    """Return the sidecar of data that has none. widths: of the files of features that are there."""
    steps = {"clip": 1.0, "segment_features": float(layout.length)}
    files = {file: stream for file, stream in STREAMS.items() if file in widths}
    streams = {
        stream: Stream(widths[file], steps.get(file, float(layout.step))) for file, stream in files.items()
    }
    return Sidecar("", layout.arch, "", "float32", streams, files)


def save_records(path: Path, records: Iterable[VideoRecord]) -> None:
    """Write one line a video: all that a store knows of it but where its rows lie."""
    with replacing(path) as partial, partial.open("w", encoding="utf-8") as file:
        for record in records:
            entry = asdict(record)
            entry["streams"] = {name: rows for name, (_, rows) in record.streams.items()}
            file.write(json.dumps(entry, ensure_ascii=False) + "\n")


def load_records(path: Path) -> dict[str, dict[str, Any]]:
    """Return what `save_records` wrote, by video; nothing where there is no such file."""
    if not path.is_file():
        return {}
    return {_checked(entry, where)["id"]: entry for where, entry in read_lines(path)}


def _checked(entry: dict[str, Any], where: str) -> dict[str, Any]:
    """Refuse (InvalidInput) a line that is not what `save_records` writes."""
    kinds = {"id": str, "uri": str, "sha256": str, "duration": int | float, "info": dict, "streams": dict}
    wrong = [key for key, kind in kinds.items() if not isinstance(entry.get(key), kind)]
    if not wrong and not all(type(rows) is int and rows >= 0 for rows in entry["streams"].values()):
        wrong = ["streams"]
    if wrong:
        raise InvalidInput(f"{where} has no sound {wrong[0]!r}; export again, or remove the file.")
    return entry


def clip_step(root: Path) -> float:
    """Return the seconds a row of a data set's clip features: what an export says, else the published 1.5."""
    sidecar = read_sidecar(Layout(root))
    return sidecar.streams[sidecar.files["video"]].step if sidecar else 1.5
