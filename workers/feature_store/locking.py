"""The writer's lock of a feature store, or of a part of one."""

import fcntl
import os
import threading
from pathlib import Path
from typing import BinaryIO

from engine import files
from engine.errors import Unavailable


class Locked(Unavailable):
    """Another process writes the store, or the part of one, whose lock lies in `path`."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"another process is writing the feature store {path}; wait for it to end, or stop it",
            "STORE_LOCKED",
        )
        self.path = path

    def wait(self, seconds: float) -> None:
        """Wait until the lock is free, at most so many seconds; the kernel frees that of a dead writer."""

        def free() -> None:
            with (self.path / "lock").open("rb") as held:
                fcntl.flock(held, fcntl.LOCK_SH)

        waiting = threading.Thread(target=free, daemon=True)
        waiting.start()
        waiting.join(max(0.0, seconds))


def lock(path: Path, new: bool = False, shared: bool = False) -> BinaryIO:
    """Be the store's only writer until the file returned is closed; Unavailable where there is another.

    new: make the directory, on disk when this returns. shared: be one of several writers, of a share each.
    """
    if new:
        files.make_folder(path)
    held = os.fdopen(os.open(path / "lock", os.O_RDWR | os.O_CREAT, 0o644), "r+b", buffering=0)
    try:
        fcntl.flock(held, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        held.close()
        raise Locked(path) from None
    return held
