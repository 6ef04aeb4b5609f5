"""Change detection: a worker notices that a served file has changed, logs it and stops answering.

A generation never changes, but a restore, a copy over it or a bad disk may change the bytes that a process
maps. Size and mtime of the open files are compared before every answer and once a second. A background scrub
hashes the bytes again. Removing or replacing a file by name does no harm: the open file stays.
"""

import hashlib
import logging
import math
import os
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from engine.entries import FileEntry, Manifest, refuse
from engine.errors import Mismatch
from engine.files import refusal

INTERVAL = 1.0
# Bytes hashed a second at most: under one hundredth of a core, and half a gigabyte in a minute.
RATE = 8 << 20
# Seconds of one pass over all files at least: small generations need no more.
PASS = 60.0

log = logging.getLogger("spr.watch")


@dataclass(frozen=True, slots=True)
class _Open:
    path: Path
    handle: int
    entry: FileEntry
    stamp: tuple[int, int]


class Watch:
    """Watches files of a generation for changes, as long as the process lives.

    Make it before the files are verified: what changes from then on is noticed.
    """

    def __init__(self, generation: Path, manifest: Manifest, names: Collection[str]) -> None:
        self._files = [_open(generation / name, manifest.files[name]) for name in sorted(names)]
        self._changed = ""
        self._place, self._offset, self._hash = 0, 0, hashlib.sha256()
        self._rate = min(float(RATE), sum(one.entry.bytes for one in self._files) / PASS)

    def check(self) -> None:
        """Raise Mismatch (GENERATION_CORRUPT) with the file's name once one has changed."""
        if not self._changed:
            changed = next((one.path for one in self._files if _stamp(one.handle) != one.stamp), None)
            if changed is not None:
                self._note(f"{changed} was changed while it is served")
        if self._changed:
            raise refuse(f"{self._changed}: copy it again and restart this worker.")

    def start(self, on_change: Callable[[], None]) -> None:
        """Look every second in a thread of its own; call `on_change` once, when a file has changed."""
        threading.Thread(target=self._run, args=(on_change,), name="watch", daemon=True).start()

    def scrub(self, amount: int) -> None:
        """Hash the next `amount` bytes of the files, from the last one's end on with the first again."""
        while amount > 0 and self._files:
            file = self._files[self._place]
            block = os.pread(file.handle, min(amount, 1 << 20), self._offset)
            amount -= max(1, len(block))
            self._offset += len(block)
            self._hash.update(block)
            if not block:
                if self._hash.hexdigest() != file.entry.sha256:
                    self._note(f"{file.path} no longer has the checksum that the manifest gives")
                self._place = (self._place + 1) % len(self._files)
                self._offset, self._hash = 0, hashlib.sha256()

    def _note(self, what: str) -> None:
        self._changed = what
        log.error("%s; nothing is answered from it any more", what)

    def _run(self, on_change: Callable[[], None]) -> None:
        while not self._changed:
            time.sleep(INTERVAL)
            try:
                self.check()
                self.scrub(math.ceil(self._rate * INTERVAL))
            except Mismatch:
                break
            except OSError as error:
                self._note(f"a file cannot be read ({error.strerror})")
        on_change()


def _open(path: Path, entry: FileEntry) -> _Open:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise refuse(f"{path} is missing: copy it again or run `spr build`.") from None
    except OSError as error:
        raise refusal(error, path) from None
    return _Open(path, handle, entry, _stamp(handle))


def _stamp(handle: int) -> tuple[int, int]:
    about = os.fstat(handle)
    return about.st_size, about.st_mtime_ns
