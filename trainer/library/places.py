"""Where snapshots lie: a directory, or whatever fsspec has a URL for (S3, GCS, Azure, SFTP, memory).

A snapshot has the layout of a collection, so that a snapshot in a directory is a collection.
"""

import contextlib
import errno
import os
import shutil
from pathlib import Path
from typing import Any, Protocol

from engine.errors import InvalidInput, NotFound, SprError, Unavailable
from engine.files import make_folder, refusal, replacing, sync

_EXTRA = 'install it with: pip install "spr-engine[remote]"'


class Place(Protocol):
    """A tree of files by relative name. name: what messages call it."""

    name: str

    def sizes(self, folder: str) -> dict[str, int]:
        """Return the bytes of every file below a folder, by name relative to the place; {} without it."""
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
    try:
        import fsspec

        return Remote(fsspec.filesystem(scheme), rest.rstrip("/"), location.rstrip("/"))
    except ImportError as error:
        raise InvalidInput(f"{location} needs a library ({error}): {_EXTRA}.") from None
    except ValueError as error:
        raise InvalidInput(
            f"{location} cannot be used ({error}): name a directory or an fsspec URL."
        ) from None


class Directory:
    """A directory of this machine. Immutable files are hard links where it is on the same disk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = str(path)

    def sizes(self, folder: str) -> dict[str, int]:
        """See `Place`."""
        files = [
            path for path in (self.path / folder).rglob("*") if path.is_file() and not _is_temporary(path)
        ]
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
        partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
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
        with self._told():
            self._files.invalidate_cache()
            try:
                found = self._files.find(self._at(folder), detail=True)
            except FileNotFoundError:
                return {}
        root = len(str(self._files._strip_protocol(self._path)).rstrip("/")) + 1
        return {name[root:]: int(about["size"]) for name, about in found.items()}

    def read(self, name: str) -> bytes:
        """See `Place`."""
        with self._told():
            return bytes(self._files.cat_file(self._at(name)))

    def write(self, name: str, content: bytes) -> None:
        """See `Place`."""
        with self._told():
            self._files.makedirs(self._at(name).rpartition("/")[0], exist_ok=True)
            self._files.pipe_file(self._at(name), content)

    def create(self, name: str, content: bytes) -> bool:
        """See `Place`. A conditional put: of two writers one wins."""
        with self._told():
            self._files.makedirs(self._at(name).rpartition("/")[0], exist_ok=True)
            try:
                self._files.pipe_file(self._at(name), content, mode="create")
            except FileExistsError:
                return False
        return True

    def store(self, source: Path, name: str) -> None:
        """See `Place`."""
        with self._told():
            self._files.makedirs(self._at(name).rpartition("/")[0], exist_ok=True)
            self._files.put_file(str(source), self._at(name))

    def fetch(self, name: str, target: Path) -> None:
        """See `Place`."""
        make_folder(target.parent)
        with self._told():
            self._files.get_file(self._at(name), str(target))
        sync(target)

    def _at(self, name: str) -> str:
        return f"{self._path}/{name}"

    @contextlib.contextmanager
    def _told(self) -> Any:
        try:
            yield
        except (SprError, FileNotFoundError, FileExistsError):
            raise
        except PermissionError as error:
            raise InvalidInput(f"{self.name} cannot be used ({error}): check its credentials.") from None
        except Exception as error:  # each file system has its library's own
            message = f"{self.name} cannot be reached ({error}): try again, what was copied is kept."
            raise Unavailable(message, "STORE_UNAVAILABLE") from None


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
