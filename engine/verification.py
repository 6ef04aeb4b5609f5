"""Verifies files of a part against its part.json: sizes, then SHA-256 checksums."""

import contextlib
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from engine.cores import cores
from engine.entries import FileEntry, Part, refuse
from engine.files import refusal, sha256

REMEDY = "copy it again or run `spr build`."
# Threads take longer to start than so many bytes to hash.
_FEW_BYTES = 1 << 20


def describe_files(part: Path, names: Collection[str]) -> dict[str, FileEntry]:
    """Return size and checksum of files, named relative to the part, in name order."""
    paths = {name: part / name for name in sorted(names)}
    checksums = _checksums(list(paths.values()))
    return {name: FileEntry(checksums[path], path.stat().st_size) for name, path in paths.items()}


def verify(
    part: Path, about: Part, files: Collection[str] | None = None, later: Collection[str] = ()
) -> None:
    """Refuse (Mismatch) unless the named files are what part.json says: sizes first, then checksums.

    `files` defaults to all; a process verifies those it serves from, which also warms the page cache for the
    maps that follow. later: of these the sizes only.
    """
    names = sorted(about.files if files is None else files)
    for name in names:
        _verify_size(part / name, about.files.get(name))
    names = [name for name in names if name not in later]
    checksums = _checksums([part / name for name in names])
    for name in names:
        verify_checksum(part / name, checksums[part / name], about.files[name])


def verify_checksum(path: Path, found: str, entry: FileEntry) -> None:
    """Refuse (Mismatch) a file whose SHA-256 is not what part.json says."""
    if found != entry.sha256:
        message = f"{path} has SHA-256 {found[:12]}..., part.json says {entry.sha256[:12]}...: "
        raise refuse(message + REMEDY)


def _checksums(paths: list[Path]) -> dict[Path, str]:
    """Return the checksums of files, in parallel: a core hashes 1 GB/s, an NVMe disk reads more."""
    with contextlib.suppress(OSError):
        if sum(path.stat().st_size for path in paths) <= _FEW_BYTES:
            return {path: _checksum(path) for path in paths}
    with ThreadPoolExecutor(min(4, cores()), thread_name_prefix="verify") as pool:
        return dict(zip(paths, pool.map(_checksum, paths), strict=True))


def _checksum(path: Path) -> str:
    try:
        return sha256(path)
    except OSError as error:
        raise refusal(error, path) from None


def _verify_size(path: Path, entry: FileEntry | None) -> None:
    if entry is None:
        raise refuse(f"{path} is not in part.json: build again.")
    try:
        there, size = path.is_file(), path.stat().st_size
    except FileNotFoundError:
        raise refuse(f"{path} is missing: {REMEDY}") from None
    except OSError as error:
        raise refusal(error, path) from None
    if not there:
        raise refuse(f"{path} is not a file: {REMEDY}")
    if size != entry.bytes:
        raise refuse(f"{path} has {size} bytes, part.json says {entry.bytes}: {REMEDY}")
