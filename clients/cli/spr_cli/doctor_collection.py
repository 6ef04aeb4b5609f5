"""A collection: formats, sizes of files, models, permissions, disk, versions of FAISS."""

import os
import shutil
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from engine import parts, versions
from engine.entries import Part, Version
from engine.errors import SprError, argument
from spr_cli.doctor_machine import version_of
from spr_cli.findings import Finding, Findings, size
from workers.warming import available_bytes

LEAST_DISK = 1_000_000_000


def findings(collection: Path) -> Findings:
    """Yield what is found."""
    try:
        version = versions.read(collection)
    except SprError as error:
        yield Finding("error", "collection", str(error))
        return
    about = f"{version.videos} videos in {len(version.shards)} shards"
    yield Finding("ok", "collection", f"{collection} is at version {version.number}: {about}")
    read: list[Part] = []
    yield from _parts(collection, version, read)
    yield from _models(collection, version)
    yield from _permissions(collection)
    yield _disk(collection, read)
    yield from _memory(read)
    yield from _faiss(read)
    yield from _clock(collection, version)


def _parts(collection: Path, version: Version, read: list[Part]) -> Findings:
    """Check that every file of every part is there with its size; collect the parts in `read`."""
    wrong = 0
    for entry in version.parts:
        try:
            about, _ = parts.read(collection, entry.id)
        except SprError as error:
            wrong += 1
            yield Finding("error", "parts", str(error))
            continue
        read.append(about)
        for said in _sizes(parts.directory(collection, entry.id), about):
            wrong += 1
            yield Finding("error", "parts", f"{said}: spr restore BACKUP {argument(collection)}")
    if not wrong:
        files = sum(len(about.files) for about in read)
        yield Finding("ok", "parts", f"{files} files of {len(read)} parts are there with their sizes")


def _sizes(folder: Path, about: Part) -> Iterable[str]:
    for name, entry in about.files.items():
        path = folder / name
        try:
            found = path.stat().st_size
        except OSError as error:
            yield f"{path} cannot be read ({error.strerror})"
        else:
            if found != entry.bytes:
                yield f"{path} has {found} bytes, part.json says {entry.bytes}"
            elif not _may(path, os.R_OK):
                yield f"{path} may not be read by this user"


def _models(collection: Path, version: Version) -> Findings:
    lacking = []
    for kind in ("encoder", "clip_encoder", "projector", "ranker"):
        entry = getattr(version, kind)
        if entry is not None and not _is_there(collection, entry):
            where = versions.model_path(collection, entry)
            lacking.append(f"{kind.replace('_', ' ')} {entry.fingerprint} is not at {where}")
    sentences = version.texts.encoder if version.texts is not None else None
    if sentences is not None and sentences.path and not (collection / sentences.path).is_dir():
        lacking.append(f"sentence encoder {sentences.fingerprint} is not at {collection / sentences.path}")
    for said in lacking:
        yield Finding("error", "models", f"{said}: spr restore BACKUP {argument(collection)}, or build again")
    if not lacking:
        ranker = f"ranker {version.ranker.fingerprint}" if version.ranker else "no trained ranker"
        texts = f", sentence encoder {sentences.source} {sentences.fingerprint}" if sentences else ""
        clips = f", clip encoder {version.clip_encoder.fingerprint}" if version.clip_encoder else ""
        yield Finding("ok", "models", f"encoder {version.encoder.fingerprint}{clips}, {ranker}{texts}")


def _is_there(collection: Path, entry: object) -> bool:
    folder = versions.model_path(collection, entry)  # type: ignore[arg-type]
    # An encoder without a copy in the collection may be a hub's name, which is fetched.
    return folder.is_dir() or (not getattr(entry, "path", "") and not str(folder).startswith("/"))


def _permissions(collection: Path) -> Findings:
    folders = [collection, *(collection / name for name in (parts.PARTS, versions.VERSIONS))]
    closed = [str(folder) for folder in folders if not _may(folder, os.W_OK | os.X_OK)]
    if closed:
        said = f"{', '.join(closed)} may not be written by this user, so nothing can be added or deleted"
        yield Finding("warning", "permissions", f"{said}: chown or chmod it if that is not meant")
    else:
        yield Finding("ok", "permissions", "this user may read and write it")


def _disk(collection: Path, read: Iterable[Part]) -> Finding:
    free = shutil.disk_usage(collection).free
    # A compaction writes a part anew before the old ones can go.
    needed = max([about.bytes for about in read], default=0) + LEAST_DISK // 10
    if free < needed:
        said = f"{size(free)} are free at {collection}, a compaction needs {size(needed)}"
        return Finding("error", "disk", f"{said}: spr gc {argument(collection)} --keep 2, or free space")
    if free < LEAST_DISK:
        return Finding("warning", "disk", f"{size(free)} are free at {collection}: free space before you add")
    return Finding("ok", "disk", f"{size(free)} are free")


def _memory(read: Iterable[Part]) -> Findings:
    needed, free = sum(about.bytes for about in read), available_bytes()
    if needed > 0.8 * free:
        said = f"its parts have {size(needed)}, of {size(free)} of memory 80 % are used for them"
        remedy = "answers come from the disk then: spr build --contexts int5, or more machines"
        yield Finding("warning", "memory", f"{said}; {remedy}")


def _faiss(read: Iterable[Part]) -> Findings:
    written = sorted({about.faiss for about in read}, key=_number)
    installed = version_of("faiss-cpu") or version_of("faiss-gpu")
    if not written or not installed:
        return
    if _number(written[-1])[:2] > _number(installed)[:2]:
        said = f"parts were written by FAISS {written[-1]}, {installed} is installed"
        yield Finding("warning", "faiss", f"{said}: install {written[-1]} or newer")
    else:
        yield Finding("ok", "faiss", f"parts were written by FAISS {', '.join(written)}")


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdecimal())


def _clock(collection: Path, version: Version) -> Findings:
    made = datetime.fromisoformat(version.created)
    if made > datetime.now(UTC):
        said = f"version {version.number} of {collection} was made at {version.created}, which is to come"
        yield Finding("warning", "clock", f"{said}: set this machine's clock, use NTP")


def _may(path: Path, what: int) -> bool:
    return os.access(path, what, effective_ids=os.access in os.supports_effective_ids)
