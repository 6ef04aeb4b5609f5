"""Change detection: a worker notices that a served file of a part has changed, and answers nothing from it.

A part never changes, but a restore, a copy over it or a bad disk may change the bytes that a process maps.
Size and mtime of the open files are compared around every answer and once a second; a file whose stamp has
changed is hashed at once. A background scrub hashes all bytes again. Removing or replacing a file by name
does no harm: the open file stays.
"""

import hashlib
import logging
import math
import os
import threading
import time
import weakref
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from engine.entries import FileEntry, Part, refuse
from engine.errors import Mismatch
from engine.files import refusal

INTERVAL = 1.0
# Bytes hashed a second of a part that takes less than HOUR that way: under one hundredth of a core.
RATE = 8 << 20
# Of files that were too large to hash before they are served: a quarter of a core, 15 GB in a minute; in so
# many slices an interval: a search waits for one of them, and not for a quarter of a second.
FIRST_RATE = 256 << 20
SLICES = 20
# Seconds of one pass over a part's files: at least for a small one, at most for a large one.
PASS, HOUR = 60.0, 1800.0
# Seconds that an answer waits for the checksum of a file that was touched.
PATIENCE = 2.0
_BLOCK = 1 << 20

log = logging.getLogger("spr.watch")
Stamp = tuple[int, int]
_NO_FILE: Stamp = (-1, -1)


@dataclass(slots=True)
class _Open:
    path: Path
    handle: int
    entry: FileEntry
    stamp: Stamp
    sound: float  # time.time() when its checksum was last seen right


class Watch:
    """Watches files of one open part. A watch that has found a fault keeps it: the part is opened anew.

    Make it before the files are verified: what changes from then on is noticed. Thread-safe, but for `look`
    and `scrub`, which belong to one thread.
    """

    def __init__(self, part: Path, about: Part, names: Collection[str], unseen: Collection[str] = ()) -> None:
        """Open the files `names` (relative to the directory `part`); Mismatch for one that is missing.

        unseen: those of them that nobody has hashed yet: they come first, and at FIRST_RATE.
        """
        self.part = part
        self.fault = ""
        """What is wrong, without a remedy: "FILE was changed while it is served"; empty while all is well."""
        self._files: list[_Open] = []
        self._handles: list[int] = []
        weakref.finalize(self, _close, self._handles)
        self._unseen = len(unseen)
        for name in sorted(names, key=lambda name: (name not in unseen, name)):
            self._files.append(_open(part / name, about.files[name]))
            self._handles.append(self._files[-1].handle)
        self._place, self._offset, self._hash = 0, 0, hashlib.sha256()
        size = sum(one.entry.bytes for one in self._files)
        self._rate = max(size / HOUR, min(float(RATE), size / PASS))
        self._examining = threading.Lock()

    @property
    def hashed(self) -> float:
        """Return when (time.time()) the file that waits longest was last hashed; infinity without files."""
        return min((one.sound for one in self._files), default=math.inf)

    def check(self) -> None:
        """Raise Mismatch (GENERATION_CORRUPT) with the file's name once one has changed.

        A file whose size or time has changed is hashed in here: one that was only touched goes on.
        """
        if not self.fault and any(_stamp(one.handle) != one.stamp for one in self._files):
            self._examine()
        if self.fault:
            raise refuse(f"{self.fault}: copy it again.")

    @contextmanager
    def around(self) -> Iterator[None]:
        """Check before an answer is read from the files (a cut map kills the process), and after it."""
        self.check()
        yield
        self.check()

    def look(self) -> None:
        """Check, and hash as much as is due every INTERVAL; a fault is kept in `fault`, nothing is raised."""
        try:
            self.check()
            self.scrub(math.ceil(self._rate * INTERVAL))
        except Mismatch:
            return

    def begin(self) -> None:
        """Hash a slice of what nobody has hashed yet: called SLICES times an interval."""
        if self._unseen:
            self.scrub(math.ceil(FIRST_RATE * INTERVAL / SLICES))

    def scrub(self, amount: int) -> None:
        """Hash the next `amount` bytes of the files, from the last one's end on with the first again."""
        while amount > 0 and self._files and not self.fault:
            file = self._files[self._place]
            try:
                block = os.pread(file.handle, min(amount, _BLOCK), self._offset)
            except OSError as error:
                return self._note(f"{file.path} cannot be read any more ({error.strerror})", file)
            amount -= max(1, len(block))
            self._offset += len(block)
            self._hash.update(block)
            if not block:
                if self._hash.hexdigest() != file.entry.sha256:
                    return self._note(f"{file.path} no longer has the checksum that part.json gives", file)
                file.sound = time.time()
                self._unseen = max(0, self._unseen - 1)
                self._place = (self._place + 1) % len(self._files)
                self._offset, self._hash = 0, hashlib.sha256()

    def on_disk(self) -> tuple[tuple[int, ...], ...]:
        """Return what identifies the files that the paths name now: one thing more to try after a change."""
        return tuple(_identity(one.path) for one in self._files)

    def _examine(self) -> None:
        if not self._examining.acquire(timeout=PATIENCE):
            raise refuse(f"a file of {self.part} was changed just now and is being checked: ask again.")
        try:
            for file in self._files:
                stamp = _stamp(file.handle)
                if stamp == file.stamp or self.fault:
                    continue
                if stamp[0] != file.entry.bytes or _checksum(file.handle) != file.entry.sha256:
                    self._note(f"{file.path} was changed while it is served", file)
                else:
                    log.info("%s was touched; its bytes are the same", file.path)
                    file.stamp, file.sound = stamp, time.time()
        finally:
            self._examining.release()

    def _note(self, what: str, file: _Open) -> None:
        self.fault = what
        about = {"part": self.part.name, "sound_seconds_ago": round(time.time() - file.sound, 1)}
        log.error("%s; nothing is answered from its part", what, extra=about)


def _open(path: Path, entry: FileEntry) -> _Open:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise refuse(f"{path} is missing: copy it again or run `spr build`.") from None
    except OSError as error:
        raise refusal(error, path) from None
    return _Open(path, handle, entry, _stamp(handle), time.time())


def _close(handles: list[int]) -> None:
    for handle in handles:
        os.close(handle)


def _stamp(handle: int) -> Stamp:
    try:
        about = os.fstat(handle)
    except OSError:
        return _NO_FILE
    return about.st_size, about.st_mtime_ns


def _identity(path: Path) -> tuple[int, ...]:
    try:
        about = path.stat()
    except OSError:
        return ()
    return about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns


def _checksum(handle: int) -> str:
    """Return the SHA-256 of an open file's bytes, "" where they cannot be read."""
    digest, offset = hashlib.sha256(), 0
    try:
        while block := os.pread(handle, _BLOCK, offset):
            digest.update(block)
            offset += len(block)
    except OSError:
        return ""
    return digest.hexdigest()
