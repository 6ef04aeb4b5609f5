"""An SQLite file of a collection: what was changed is on disk when a change returns."""

import contextlib
import errno
import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from google.protobuf.message import DecodeError

from engine.errors import Mismatch, SprError
from engine.files import MALFORMED, refusal, sync


@dataclass(frozen=True, slots=True)
class Layout:
    """Tables of a file. number: of their format. lost: what is lost without it. reason: the error's."""

    schema: str
    number: int
    lost: str
    reason: str


class Database:
    """One file, by SQLite's write-ahead log, synced; used from many threads, one at a time.

    Mismatch for a file that is none, or of another format.
    """

    def __init__(self, path: Path, layout: Layout) -> None:
        self.path, self._layout = path, layout
        self.lock = threading.Lock()
        with self._told():
            self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            for pragma in ("journal_mode = wal", "synchronous = full", "busy_timeout = 10000"):
                self._connection.execute(f"pragma {pragma}")
            found = self._connection.execute("pragma user_version").fetchone()[0]
            if found not in (0, layout.number):
                message = f"{path} has format {found}, this program reads {layout.number}: use a newer one."
                raise Mismatch(message)
            self._connection.executescript(f"{layout.schema} pragma user_version = {layout.number};")
            sync(path)
            sync(path.parent)

    @property
    def connection(self) -> sqlite3.Connection:
        """The connection, for a caller that holds `lock`."""
        return self._connection

    def close(self) -> None:
        """Close the file."""
        with self.lock:
            self._connection.close()

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Lend the connection; what SQLite refuses is a sentence."""
        with self.lock, self._told():
            self._connection.row_factory = sqlite3.Row
            yield self._connection

    @contextlib.contextmanager
    def changing(self) -> Iterator[sqlite3.Connection]:
        """Commit, synced, at the end; nothing is changed on failure."""
        with self.reading() as connection:
            connection.execute("begin immediate")
            try:
                yield connection
                connection.execute("commit")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    connection.execute("rollback")
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
            raise refusal(OSError(number, str(error)), self.path) from error
        except (sqlite3.DatabaseError, DecodeError, *MALFORMED) as error:
            message = f"{self.path} cannot be read ({error}): move it away; {self._layout.lost}."
            raise Mismatch(message, reason=self._layout.reason) from None
