"""Files behind URLs, read in blocks as they are asked for; what fails is an OSError with a reason."""

import contextlib
import errno
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from engine.errors import SprError
from engine.urls import file_system, reason

# Bytes that are asked for at once, and how many such blocks of a file are kept.
BLOCK, _BLOCKS = 4 << 20, 4


@dataclass(frozen=True, slots=True)
class Status:
    """What tells a file without reading it. state: size and time, or what its server says of its content."""

    size: int
    state: dict[str, Any]


class Remote(io.RawIOBase):
    """A file behind a URL. fault: why reading failed, None while it did not: decoders hide it."""

    def __init__(self, uri: str) -> None:
        self.fault: OSError | None = None
        self.name = uri.rpartition("/")[2]
        with told():
            self._file = files_of(uri).open(
                uri,
                "rb",
                block_size=BLOCK,
                cache_type="background",
                cache_options={"maxblocks": _BLOCKS},
            )
        if not self._file.seekable() or self._file.size is None:
            raise OSError(errno.ESPIPE, "its server gives no parts of files (Accept-Ranges); fetch it first")
        self._size = int(self._file.size)

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """See io."""
        return int(self._file.seek(offset, whence))

    def tell(self) -> int:
        """See io."""
        return int(self._file.tell())

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer, but at the file's end. Raises OSError, also where less came than the file has."""
        wanted = max(0, min(len(buffer), self._size - self.tell()))
        try:
            with told():
                data = self._file.read(wanted)
            if len(data) != wanted:
                raise OSError(errno.EIO, f"its server sent {len(data)} of {wanted} bytes")
        except OSError as error:
            self.fault = error
            raise
        buffer[:wanted] = data
        return wanted

    def close(self) -> None:
        """Let go of the blocks."""
        if not self.closed:
            self._file.close()
        super().close()


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
            raise OSError(errno.EIO, _why(cause)) from None
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
