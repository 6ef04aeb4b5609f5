"""Moments as clips in a folder, with a manifest that says what each holds."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from engine.errors import InvalidInput, NotFound, quoted
from engine.files import replacing, write_json
from engine.printable import in_utf8
from spr_client import SearchResult, clock
from spr_gateway.clips import cut_to
from spr_gateway.cutter import KEPT
from spr_gateway.exports.excerpts import Excerpt
from spr_gateway.exports.saving import file_names
from trainer.ingest.errors import BadVideo

MANIFEST = "manifest.json"
Manifest = dict[str, Any]


def save_clips(
    query: str, found: SearchResult, cuts: Sequence[Excerpt], folder: Path, done: Callable[[Manifest], None]
) -> tuple[Manifest, list[str]]:
    """Write a clip for each excerpt; return the manifest, and sentences on what could not be cut.

    done: told of each clip, as the manifest says it. Files of the same names are replaced.
    """
    if folder.exists() and not folder.is_dir():
        raise InvalidInput(f"{folder} is a file; --export names a folder")
    names = file_names(list(dict.fromkeys(cut.moment.video for cut in cuts)))
    clips, failed = list[Manifest](), list[str]()
    for cut in cuts:
        span = f"{clock(cut.moment.start)}-{clock(cut.moment.end)}"
        name = f"{cut.moment.rank:02d}-{names[cut.moment.video]}-{re.sub('[:.]', '_', span)}.mp4"
        try:
            clips.append(_clip(cut, folder / name))
            done(clips[-1])
        except (BadVideo, NotFound) as error:
            failed.append(f"video {quoted(cut.moment.video)} cannot be cut at {span}: {error}")
    manifest = {
        "query": query,
        "collection": found.collection,
        "generation": found.generation,
        "clips": clips,
    }
    write_json(folder / MANIFEST, manifest)
    return manifest, failed


def _clip(cut: Excerpt, path: Path) -> Manifest:
    """Write one clip. begins, ends: seconds of the video that it holds; early: how much before the span."""
    film, moment = cut.footage, cut.moment
    start, end = (float(film.counting.seconds(frame)) for frame in (cut.first, cut.end))
    with replacing(path) as partial:
        made = cut_to(partial, film.path, start, end, KEPT)
    return {
        "file": path.name,
        "rank": moment.rank,
        "video": moment.video,
        "source": in_utf8(film.path),
        "start": moment.start,
        "end": moment.end,
        "timecode_in": film.label(cut.first),
        "timecode_out": film.label(cut.end),
        "begins": round(made.offset, 6),
        "ends": round(made.until, 6),
        "early": round(max(0.0, start - made.offset), 6),
        "how": "copied" if made.copied else "encoded",
        "score": moment.score,
        "confidence": moment.confidence,
    }
