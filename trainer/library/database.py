"""The library's SQLite files: durable when a change returns, used from many threads, told of in sentences."""

import contextlib
import errno
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError

from engine.errors import Mismatch, SprError
from engine.files import MALFORMED, refusal, sync


class Database:
    """One file, in SQLite's write-ahead log, synced. Its process alone writes; SQLite keeps others out.

    form: the format's number. lost: what moving a damaged file away costs. reason: of the error then.
    """

    def __init__(self, path: Path, schema: str, form: int, lost: str, reason: str) -> None:
        self._path, self._lost, self._reason = path, lost, reason
        self._lock = threading.Lock()
        with self._told():
            self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            self._connection.row_factory = sqlite3.Row
            for pragma in ("journal_mode = wal", "synchronous = full", "busy_timeout = 10000"):
                self._connection.execute(f"pragma {pragma}")
            found = self._connection.execute("pragma user_version").fetchone()[0]
            if found not in (0, form):
                raise Mismatch(f"{path} has format {found}, this program reads {form}: use a newer one.")
            self._connection.executescript(f"{schema} pragma user_version = {form};")
            # The folder alone: whoever closes the file beside SQLite ends the process's locks on it, and the
            # next process that closes it deletes the log that is written here. SQLite syncs the file.
            sync(path.parent)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Yield the connection."""
        with self._lock, self._told():
            yield self._connection

    def at_once(self, query: str, values: Sequence[Any] = ()) -> int | None:
        """Return the number that a query finds; None while another thread has the connection."""
        if not self._lock.acquire(blocking=False):
            return None
        try:
            return int(self._connection.execute(query, values).fetchone()[0])
        finally:
            self._lock.release()

    @contextlib.contextmanager
    def changing(self) -> Iterator[sqlite3.Connection]:
        """Commit, synced, at the end; nothing is changed on failure."""
        with self._lock, self._told():
            self._connection.execute("begin immediate")
            try:
                yield self._connection
                self._connection.execute("commit")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    self._connection.execute("rollback")
                raise

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Turn what SQLite refuses, and rows that hold something else, into a sentence."""
        try:
            yield
        except SprError:
            raise
        except sqlite3.OperationalError as error:
            # Python's own, of a text that is none, has no code.
            full = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
            number = errno.ENOSPC if full else errno.EIO
            raise refusal(OSError(number, str(error)), self._path) from error
        except (sqlite3.DatabaseError, DecodeError, *MALFORMED) as error:
            message = f"{self._path} cannot be read ({error}): move it away; {self._lost}."
            raise Mismatch(message, reason=self._reason) from None
