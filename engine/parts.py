"""Parts: immutable directories with all that search and ranking need of some videos of one shard.

    COLLECTION/parts/<id>/part.json           models, counts, FAISS's version, size and SHA-256 of every file
    COLLECTION/parts/<id>/catalog.sqlite      its videos by number, in the order of their ids
    COLLECTION/parts/<id>/index/              FAISS index, originals, segment tables: workers/index/part.py
    COLLECTION/parts/<id>/context/            features: workers/ranker/stores/features.py
    COLLECTION/parts/<id>/looks.npy           what each second looks like, where known: engine/looks.py
    COLLECTION/parts/<id>/encoded/            stored contexts: workers/ranker/stores/contexts.py

A part is written once under a temporary name, synced and renamed. Its id is a hash of its content. It knows
nothing of the versions that list it: a video's number inside it is local.
"""

import dataclasses
import re
from pathlib import Path

from engine import sealed
from engine.entries import FileEntry, Part, PartEntry, StreamEntry, refuse
from engine.entry_checks import check_part
from engine.errors import NotFound
from engine.verification import describe_files

__all__ = ["PART", "PARTS", "FileEntry", "Part", "StreamEntry", "directory", "entry_of", "read", "seal"]

PARTS = "parts"
PART = "part.json"
REMEDY = "copy the part again, or run `spr build`"


def directory(collection: Path, part: str) -> Path:
    """Return where a part lies; NotFound for a name that cannot be one."""
    if not re.fullmatch(r"[0-9a-f]{16}", part):
        raise NotFound(f"'{part}' is no id of a part.", reason="GENERATION_NOT_FOUND")
    return collection / PARTS / part


def seal(building: Path, about: Part) -> Part:
    """Describe all files below `building` and write its part.json, the last file of a part; return it.

    about: all but id and files, which are set here. The caller gives the directory the id as name.
    No clock goes in: what is made again, of a damaged part, is what versions list, to the byte.
    """
    names = [str(path.relative_to(building)) for path in building.rglob("*") if path.is_file()]
    found = dataclasses.replace(about, files=describe_files(building, names), id="")
    named = dataclasses.replace(found, id=sealed.digest(sealed.plain(found))[:16])
    sealed.write(building / PART, named)
    return named


def read(collection: Path, part: str) -> tuple[Part, str]:
    """Return a part's part.json and the checksum it gives itself; NotFound or Mismatch say what is wrong."""
    return read_at(directory(collection, part), part)


def read_at(folder: Path, part: str) -> tuple[Part, str]:
    """Return the part.json of a part that lies in `folder`, as `read` does."""
    path = folder / PART
    about, checksum = sealed.read(path, Part, check_part, REMEDY, "GENERATION_CORRUPT")
    unnamed = dataclasses.replace(about, id="")
    if about.id != part or sealed.digest(sealed.plain(unnamed))[:16] != part:
        raise refuse(f"{path} does not have the id of its content: {REMEDY}.")
    return about, checksum


def entry_of(collection: Path, part: str) -> PartEntry:
    """Return a sealed part as a version lists it, nothing deleted."""
    about, checksum = read(collection, part)
    return PartEntry(part, checksum, about.videos, about.segments)
