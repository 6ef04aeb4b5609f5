"""Files of this machine and behind URLs, which ingest reads alike.

A URL is kept as a path that begins with its scheme: Path("s3:/bucket/a.mp4") is s3://bucket/a.mp4. Files of
this machine have absolute paths. What fails is an OSError with a reason in `strerror`.
"""

import contextlib
import errno
import hashlib
import os
import stat as kinds
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import unquote, urlsplit

from engine.files import sha256
from engine.urls import check_url
from trainer.ingest import remote
from trainer.ingest.remote import BLOCK, Blocks, Remote, Status

SCHEMES = ("s3", "gs", "gcs", "az", "abfs", "https", "http")
_BEGINS = frozenset(f"{scheme}:" for scheme in SCHEMES)
# What lies in the folders of stores that were listed, by name; a listing is of one run.
_listed: dict[Path, dict[str, Status]] = {}
# The file that a thread reads `once`.
_once = threading.local()


def is_remote(path: Path) -> bool:
    """Whether a path stands for a URL."""
    return path.parts[:1] != () and path.parts[0] in _BEGINS


def is_web(path: Path) -> bool:
    """Whether a path stands for a URL of a web server, which lists nothing."""
    return path.parts[:1] in (("http:",), ("https:",))


def absolute(path: Path) -> Path:
    """Return the path as it is kept; InvalidInput for a URL that holds credentials."""
    if not is_remote(path):
        return Path(os.path.abspath(path))
    check_url(uri_of(path), SCHEMES)
    return path


def uri_of(path: Path) -> str:
    """Return the URI that a collection keeps of a file."""
    return f"{path.parts[0]}//{'/'.join(path.parts[1:])}" if is_remote(path) else path.as_uri()


def path_of(uri: str) -> Path | None:
    """Return the path of a URI of `uri_of`, None for another kind."""
    parts = urlsplit(uri)
    if parts.scheme in SCHEMES:
        return Path(uri)
    return Path(unquote(parts.path, errors="surrogateescape")) if parts.scheme == "file" else None


def shown(path: Path) -> str:
    """Return a path as it was given."""
    return uri_of(path) if is_remote(path) else str(path)


def status(path: Path, fresh: bool = True) -> Status:
    """Return a regular file's status. fresh: not what a listing said before. Raises OSError."""
    if not is_remote(path):
        found = path.stat()
        if not kinds.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file")
        return Status(found.st_size, {"size": found.st_size, "mtime_ns": found.st_mtime_ns})
    if not fresh and path.name in (there := _listed.get(path.parent, {})):
        return there[path.name]
    with remote.told():
        return remote.status_of(remote.files_of(uri_of(path)).info(uri_of(path)))


def exists(path: Path) -> bool:
    """Whether there is a file, or what cannot be looked at; listed folders are not asked again."""
    if not is_remote(path):
        try:
            return path.is_file()
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:  # what no file can be called is not there
                return False
            raise
    if path.parent in _listed:
        return path.name in _listed[path.parent]
    try:
        with remote.told():
            about = remote.files_of(uri_of(path)).info(uri_of(path))
    except OSError as error:
        # Some web servers refuse what is not there.
        return error.errno not in ((errno.ENOENT, errno.EACCES) if is_web(path) else (errno.ENOENT,))
    # Others answer with a page that says so.
    return not (is_web(path) and str(about.get("mimetype", "")).startswith("text/html"))


def beside(video: Path, suffixes: Sequence[str]) -> list[str]:
    """Return the names in a video's folder, none where it cannot be listed.

    No web server is asked for a list, but for NAME and each of the suffixes.
    """
    folder = video.parent
    if is_web(video):
        return [path.name for path in map(video.with_suffix, suffixes) if exists(path)]
    if not is_remote(folder):
        try:
            return os.listdir(folder)
        except OSError:
            return []
    if folder not in _listed:
        with contextlib.suppress(OSError), remote.told():
            _note(remote.files_of(uri_of(folder)).ls(uri_of(folder), detail=True), folder)
    return list(_listed.get(folder, ()))


def below(top: Path) -> list[Path]:
    """Return the file that a URL names, or all below it, as they are now. Raises OSError."""
    if is_web(top):
        return [top]
    with remote.told():
        found = remote.files_of(uri_of(top)).find(uri_of(top), detail=True)
    scheme = top.parts[0]
    paths = {Path(f"{scheme}//{name}"): about for name, about in found.items() if "//" not in name}
    if list(paths) == [top]:
        _listed.pop(top.parent, None)  # what is beside it now
        return [top]
    for folder in {path.parent for path in paths}:
        _listed[folder] = {}
    for path, about in paths.items():
        _listed[path.parent][path.name] = remote.status_of(about)
    return [path for path in paths if not any(part.startswith(".") for part in path.parts[len(top.parts) :])]


@contextlib.contextmanager
def once(path: Path) -> Iterator[None]:
    """Let what this thread reads of a URL come once, for the time of a `with`: it is kept on this disk.

    What is larger than `remote.KEPT` comes each time. Raises OSError.
    """
    if not is_remote(path):
        yield
        return
    with contextlib.closing(Blocks(uri_of(path), keep=True)) as blocks:
        _once.file = path, blocks
        try:
            yield
        finally:
            _once.file = None


@contextlib.contextmanager
def reading(path: Path, block: int = BLOCK) -> Iterator[BinaryIO]:
    """Open a file's bytes; those of a URL come in blocks, as they are asked for. Raises OSError."""
    if not is_remote(path):
        with path.open("rb") as file:
            yield file
        return
    if (kept := getattr(_once, "file", None)) and kept[0] == path:
        yield Remote(path.name, kept[1])  # type: ignore[misc]  # what is read of it is what files have
        return
    with contextlib.closing(Blocks(uri_of(path), block)) as blocks:
        yield Remote(path.name, blocks)  # type: ignore[misc]


@contextlib.contextmanager
def here(path: Path, most: int) -> Iterator[Path]:
    """Give a small file as one of this machine, its first `most` bytes and one. Raises OSError."""
    if not is_remote(path):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="spr-") as folder, reading(path) as file:
        local = Path(folder, path.name)
        local.write_bytes(file.read(most + 1))
        yield local


def content_of(path: Path) -> str:
    """Return the hex SHA-256 of a file's bytes. Raises OSError."""
    if not is_remote(path):
        return sha256(path)
    digest = hashlib.sha256()
    with reading(path) as file:
        while block := file.read(remote.BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _note(found: list[dict[str, Any]], folder: Path) -> None:
    about = {Path(one["name"]).name: one for one in found if one.get("type") == "file"}
    _listed[folder] = {name: remote.status_of(one) for name, one in about.items()}
