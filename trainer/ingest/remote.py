"""Files behind URLs, read in blocks as they are asked for; what fails is an OSError with a reason."""

import contextlib
import errno
import io
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from engine.errors import SprError
from engine.urls import file_system, reason

# Bytes that are asked for at once, and how many such blocks of a file are kept.
BLOCK, _BLOCKS = 4 << 20, 4
# Bytes of a file that is kept on this disk while it is read, so that each comes once.
KEPT = 1 << 30


@dataclass(frozen=True, slots=True)
class Status:
    """What tells a file without reading it. state: size and time, or what its server says of its content."""

    size: int
    state: dict[str, Any]


class Blocks:
    """The bytes of a file behind a URL, in blocks. keep: each comes once, where the disk has room for all."""

    def __init__(self, uri: str, block: int = BLOCK, keep: bool = False) -> None:
        """block: bytes that are asked for at once. Raises OSError."""
        self._block = block
        options = {"block_size": block, "cache_type": "background", "cache_options": {"maxblocks": _BLOCKS}}
        with told():
            self._file = files_of(uri).open(uri, "rb", **options)
        if not self._file.seekable() or self._file.size is None:
            raise OSError(errno.ESPIPE, "its server gives no parts of files (Accept-Ranges); fetch it first")
        self.size = int(self._file.size)
        room = min(KEPT, shutil.disk_usage(tempfile.gettempdir()).free // 2)
        # Without a name: whatever ends this process, nothing is left.
        self._kept = tempfile.TemporaryFile() if keep and self.size <= room else None
        self._there = set[int]()

    def read(self, at: int, wanted: int) -> bytes:
        """Return bytes from a place on, fewer at the end alone. Raises OSError."""
        wanted = max(0, min(wanted, self.size - at))
        if self._kept is None:
            return self._fetch(at, wanted)
        for number in range(at // self._block, -(-(at + wanted) // self._block)):
            if number not in self._there:
                first = number * self._block
                data = self._fetch(first, min(self._block, self.size - first))
                self._kept.seek(first)
                self._kept.write(data)
                self._there.add(number)
        self._kept.seek(at)
        return self._kept.read(wanted)

    def _fetch(self, at: int, wanted: int) -> bytes:
        with told():
            self._file.seek(at)
            data = self._file.read(wanted)
        if len(data) != wanted:
            raise OSError(errno.EIO, f"its server sent {len(data)} of {wanted} bytes")
        return bytes(data)

    def close(self) -> None:
        """Let go of them."""
        self._file.close()
        if self._kept is not None:
            self._kept.close()


class Remote(io.RawIOBase):
    """A file behind a URL. fault: why reading failed, None while it did not: decoders hide it."""

    def __init__(self, name: str, blocks: Blocks) -> None:
        """name: of the file. blocks: closed by whoever opened them."""
        self.fault: OSError | None = None
        self.name, self._blocks, self._at = name, blocks, 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """See io."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._blocks.size}[whence]
        if base + offset < 0:
            raise ValueError(f"{base + offset} lies before the file")
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        """See io."""
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer, but at the file's end. Raises OSError, also where less came than the file has."""
        try:
            data = self._blocks.read(self._at, len(buffer))
        except OSError as error:
            self.fault = error
            raise
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


def files_of(uri: str) -> Any:
    """Return the file system of a URI; InvalidInput where its library is not installed."""
    return file_system(uri.partition("://")[0], uri)


def status_of(about: dict[str, Any]) -> Status:
    """Return the status in what a file system tells of a file. Raises OSError."""
    if about.get("size") is None:
        raise OSError(errno.ESPIPE, "its server does not tell its size; fetch it first")
    size = int(about["size"])
    tells = ("ETag", "etag", "md5Hash", "content_md5", "LastModified", "last_modified", "mtime")
    told = next((str(about[key]) for key in tells if about.get(key)), "")
    return Status(size, {"size": size, "etag": told})


@contextlib.contextmanager
def told() -> Iterator[None]:
    """Make whatever a store's library raises an OSError with a reason."""
    try:
        yield
    except SprError:
        raise
    except FileNotFoundError as error:
        # fsspec's HTTP says so of every failure.
        cause = error.__cause__
        gone = isinstance(cause, FileNotFoundError) or getattr(cause, "status", None) in (404, 410)
        if isinstance(cause, Exception) and not gone:
            denied = getattr(cause, "status", None) in (401, 403)
            raise OSError(errno.EACCES if denied else errno.EIO, _why(cause)) from None
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)) from None
    except PermissionError:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES)) from None
    except OSError as error:
        if error.errno == errno.ESPIPE:
            raise
        raise OSError(errno.EIO, _why(error)) from None
    except Exception as error:  # each has its own
        raise OSError(errno.EIO, _why(error)) from None


def _why(error: Exception) -> str:
    answered = getattr(error, "status", None)
    if answered is not None:
        return f"its server answers {answered} {getattr(error, 'message', '')}".rstrip()
    return f"its server does not give it ({reason(error)})"
