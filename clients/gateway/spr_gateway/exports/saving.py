"""The formats by name, and the files that they become."""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from engine.errors import InvalidInput
from engine.files import replacing
from engine.printable import in_one_form
from spr_client import SearchResult
from spr_gateway.exports import tables
from spr_gateway.exports.edl import as_edl
from spr_gateway.exports.excerpts import Excerpt
from spr_gateway.exports.fcp7 import as_fcp7
from spr_gateway.exports.fcpxml import as_fcpxml
from spr_gateway.exports.otio import as_otio

Text = str | Mapping[str, str]
OF_SECONDS: dict[str, Callable[[str, SearchResult], Text]] = {
    "csv": tables.as_csv,
    "json": tables.as_json,
    "vtt": lambda query, found: tables.as_chapters(query, found.moments),
}
OF_FRAMES: dict[str, Callable[[str, Sequence[Excerpt]], Text]] = {
    "otio": as_otio,
    "fcp7xml": as_fcp7,
    "fcpxml": as_fcpxml,
    "edl": as_edl,
}
A_FILE_A_VIDEO = ("vtt", "edl")
LONGEST = 80  # characters of a video's id in names of files, of twice as many bytes


def save(text: Text, suffix: str, out: Path) -> list[Path]:
    """Write a file, or of several texts a folder with a file a video; return what was written."""
    if isinstance(text, str):
        if out.is_dir():
            raise InvalidInput(f"{out} is a folder; --out names a file for this format")
        _write(out, text)
        return [out]
    if out.exists() and not out.is_dir():
        raise InvalidInput(f"{out} is a file; --out names a folder for this format, which has a file a video")
    names = file_names(list(text))
    for video, name in names.items():
        _write(out / f"{name}.{suffix}", text[video])
    return [out / f"{name}.{suffix}" for name in names.values()]


def file_names(videos: Sequence[str]) -> dict[str, str]:
    """Return a name for the file of each video: its id in characters of any file system, each once."""
    names: dict[str, str] = {}
    taken: set[str] = set()
    for video in videos:
        plain = _cut(re.sub(r"[^\w.-]+", "_", in_one_form(video)).strip("._")) or "video"
        name, number = plain, 1
        # Some file systems do not tell capitals from small letters.
        while name.lower() in taken:
            number += 1
            name = f"{plain}-{number}"
        taken.add(name.lower())
        names[video] = name
    return names


def _cut(name: str) -> str:
    """Return what of a name leaves room for a rank, a span and an ending: file systems count bytes."""
    return name[:LONGEST].encode()[: 2 * LONGEST].decode(errors="ignore")


def _write(path: Path, text: str) -> None:
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8", errors="replace", newline="")
