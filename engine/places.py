"""Where snapshots lie: a directory, or a place that fsspec has a URL for (S3, GCS, Azure, SFTP, memory).

A snapshot has the layout of a collection: one in a directory is a collection, one behind a URL is served
through a `engine.mirror.Mirror`.
"""

import errno
import os
import shutil
from pathlib import Path
from typing import Any, Protocol

from engine.errors import NotFound
from engine.files import make_folder, refusal, replacing, sync
from engine.partials import partial_of
from engine.urls import SCHEMES, check_url, file_system, told


class Place(Protocol):
    """A tree of files by relative name. name: what messages call it."""

    name: str

    def sizes(self, folder: str) -> dict[str, int]:
        """Return the bytes of a file or of all below a folder, by name in the place; {} where none is."""
        ...

    def read(self, name: str) -> bytes:
        """Return a small file; FileNotFoundError where it is not there."""
        ...

    def write(self, name: str, content: bytes) -> None:
        """Write a small file: it is there whole or not at all."""
        ...

    def create(self, name: str, content: bytes) -> bool:
        """Write a small file unless one is there; tell whether it was written."""
        ...

    def store(self, source: Path, name: str) -> None:
        """Copy an immutable local file there; it may share its bytes with it."""
        ...

    def fetch(self, name: str, target: Path) -> None:
        """Copy a file from there to a new local one, synced."""
        ...


def open_place(location: str) -> Place:
    """Return the place that a path or URL names; InvalidInput for a URL whose library is not installed."""
    if "://" not in location:
        return Directory(Path(location))
    scheme, _, rest = location.partition("://")
    if scheme == "file":
        return Directory(Path("/" + rest.lstrip("/")))
    check_url(location, SCHEMES)
    return Remote(file_system(scheme, location), rest.rstrip("/"), location.rstrip("/"))


class Directory:
    """A directory of this machine. Immutable files are hard links where it is on the same disk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = str(path)

    def sizes(self, folder: str) -> dict[str, int]:
        """See `Place`."""
        top = self.path / folder
        found = [top] if top.is_file() else top.rglob("*")
        files = [path for path in found if path.is_file() and not _is_temporary(path)]
        return {str(path.relative_to(self.path)): path.stat().st_size for path in files}

    def read(self, name: str) -> bytes:
        """See `Place`."""
        return (self.path / name).read_bytes()

    def write(self, name: str, content: bytes) -> None:
        """See `Place`."""
        with replacing(self.path / name) as partial:
            partial.write_bytes(content)

    def create(self, name: str, content: bytes) -> bool:
        """See `Place`."""
        path = self.path / name
        make_folder(path.parent)
        partial = partial_of(path)
        try:
            partial.write_bytes(content)
            sync(partial)
            os.link(partial, path)
        except FileExistsError:
            return False
        finally:
            partial.unlink(missing_ok=True)
        sync(path.parent)
        return True

    def store(self, source: Path, name: str) -> None:
        """See `Place`."""
        copy(source, self.path / name)

    def fetch(self, name: str, target: Path) -> None:
        """See `Place`."""
        copy(self.path / name, target)


class Remote:
    """Files of an fsspec file system below a path. What is stored is there when a call returns."""

    def __init__(self, files: Any, path: str, name: str) -> None:
        self._files = files
        self._path = path
        self.name = name

    def sizes(self, folder: str) -> dict[str, int]:
        """See `Place`."""
        with told(self.name):
            self._files.invalidate_cache()
            try:
                found = self._files.find(self._at(folder), detail=True)
            except FileNotFoundError:
                return {}
        root = len(str(self._files._strip_protocol(self._path)).rstrip("/")) + 1
        return {name[root:]: int(about.get("size", 0)) for name, about in found.items()}

    def read(self, name: str) -> bytes:
        """See `Place`."""
        with told(self.name):
            return bytes(self._files.cat_file(self._at(name)))

    def write(self, name: str, content: bytes) -> None:
        """See `Place`."""
        with told(self.name):
            self._files.makedirs(self._at(name).rpartition("/")[0], exist_ok=True)
            self._files.pipe_file(self._at(name), content)

    def create(self, name: str, content: bytes) -> bool:
        """See `Place`. A conditional put: of two writers one wins."""
        with told(self.name):
            self._files.makedirs(self._at(name).rpartition("/")[0], exist_ok=True)
            try:
                self._files.pipe_file(self._at(name), content, mode="create")
            except FileExistsError:
                return False
        return True

    def store(self, source: Path, name: str) -> None:
        """See `Place`."""
        with told(self.name):
            self._files.makedirs(self._at(name).rpartition("/")[0], exist_ok=True)
            self._files.put_file(str(source), self._at(name))

    def fetch(self, name: str, target: Path) -> None:
        """See `Place`."""
        make_folder(target.parent)
        with told(self.name, target):
            self._files.get_file(self._at(name), str(target))
        sync(target)

    def _at(self, name: str) -> str:
        return f"{self._path}/{name}"


def copy(source: Path, target: Path) -> None:
    """Copy a local file, synced; a hard link where it is read-only and the disk is the same."""
    make_folder(target.parent)
    try:
        if not source.stat().st_mode & 0o222:
            try:
                os.link(source, target)
            except OSError as error:
                if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP):
                    raise
            else:
                sync(target.parent)
                return
        # Under its own name it has all its bytes: what is there by its size is not copied again.
        with replacing(target) as partial:
            shutil.copyfile(source, partial)
    except FileNotFoundError as error:
        raise NotFound(f"{error.filename} does not exist: take another snapshot.") from None
    except OSError as error:
        raise refusal(error, target) from None


def _is_temporary(path: Path) -> bool:
    return any(piece.startswith(".") for piece in (path.name, path.parent.name))
