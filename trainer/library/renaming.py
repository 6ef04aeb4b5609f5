"""A collection that gets another name while the library runs: its next process knows it by that."""

import contextlib
import logging
import os
import signal
import threading
import time
from collections.abc import Iterable

from engine import versions
from engine.errors import SprError
from trainer.library.jobs import Queue
from trainer.library.names import name_of

_log = logging.getLogger("spr.library")
LOOK = 1.0  # seconds between looks at CURRENT


class Renaming:
    """Ends the process, as if it were told to, when a queue's collection has another name than it."""

    def __init__(self, queues: Iterable[Queue]) -> None:
        self._queues = list(queues)
        self._known = {queue.collection: versions.newest(queue.collection) for queue in self._queues}

    def start(self) -> None:
        """Begin to look, in the background."""
        threading.Thread(target=self._run, name="renaming", daemon=True).start()

    def renamed(self) -> str:
        """Return how a collection is called now that was called otherwise at the start, "" for none."""
        for queue in self._queues:
            version = versions.newest(queue.collection)
            # A collection without one has been moved or unmounted: it has no name to tell.
            if version in ("", self._known[queue.collection]):
                continue
            if (name := name_of(queue.collection)) != queue.name:
                return name
            self._known[queue.collection] = version
        return ""

    def _run(self) -> None:
        name = ""
        while not name:
            time.sleep(LOOK)
            # What cannot be read now may be at the next look.
            with contextlib.suppress(SprError, OSError):
                name = self.renamed()
        _log.info("a collection is called %r from now on; the library starts again", name)
        os.kill(os.getpid(), signal.SIGTERM)
