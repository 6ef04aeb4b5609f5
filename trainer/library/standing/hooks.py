"""Sends matches to webhooks: at least once, in order, signed; never in the way of judging."""

import logging
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from engine import logs, metrics
from engine.errors import SprError
from trainer.library.standing import deliveries
from trainer.library.standing.posting import Hosts, post
from trainer.library.standing.rows import Delivery, Search
from trainer.library.standing.store import Store

_log = logging.getLogger("spr.standing")
LOOK = 0.5  # seconds between looks at what is due
AT_ONCE = 4  # webhooks; of one search only one delivery at a time
# Seconds until a match is sent again of which cannot be noted that it was: nothing on disk tells when.
UNNOTED = 60.0


class Hooks:
    """Delivers what the stores have waiting."""

    def __init__(self, stores: Sequence[Store], hosts: Hosts) -> None:
        self._stores, self._hosts = list(stores), hosts
        self._busy: dict[tuple[str, int], Delivery] = {}
        self._faults: dict[tuple[str, int], str] = {}
        self._unnoted: dict[tuple[str, int], float] = {}
        self._stop, self._wake = threading.Event(), threading.Event()
        self._pool = ThreadPoolExecutor(AT_ONCE, "webhook")
        self._thread = threading.Thread(target=self._run, name="webhooks", daemon=True)

    def start(self) -> None:
        """Begin, with what the last process left."""
        self._thread.start()

    def wake(self) -> None:
        """Look now."""
        self._wake.set()

    def stop(self, patience: float) -> None:
        """End; what has not arrived is sent by the next process."""
        self._stop.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(patience)
        self._pool.shutdown(wait=False, cancel_futures=True)

    def fault(self, store: Store, search: Search) -> str:
        """Return why a search's webhook takes nothing, "" where it does."""
        return self._faults.get((store.name, search.number), "")

    def _run(self) -> None:
        stores = [(store, logs.Waiting(_log)) for store in self._stores]
        while not self._stop.is_set():
            self._wake.clear()
            for store, waiting in stores:
                try:
                    self._begin(store)
                except Exception as error:
                    waiting.tell("webhooks wait", error)
            self._wake.wait(LOOK)

    def _begin(self, store: Store) -> None:
        now = time.monotonic()
        waiting = (key for key, until in list(self._unnoted.items()) if now < until)
        busy = {number for name, number in (*list(self._busy), *waiting) if name == store.name}
        for one in deliveries.due(store, busy, AT_ONCE - len(self._busy)):
            self._busy[store.name, one.search.number] = one
            self._pool.submit(self._deliver, store, one)

    def _deliver(self, store: Store, one: Delivery) -> None:
        key = store.name, one.search.number
        try:
            why = post(one, store.name, self._hosts)
            if not why:
                deliveries.sent(store, one)
                self._faults.pop(key, None)
                result = "sent"
            else:
                result = "given_up" if deliveries.refused(store, one) else "refused"
                self._faults[key] = f"the webhook {why}"
            self._unnoted.pop(key, None)
            metrics.bound(metrics.WEBHOOKS, store.name, result).inc()
        except Exception as error:
            self._unnoted[key] = time.monotonic() + UNNOTED
            self._faults[key] = f"whether match {one.match.number} has arrived cannot be noted: {error}"
            told = isinstance(error, (SprError, OSError))
            _log.error("match %d waits: %s", one.match.number, error, exc_info=None if told else error)
        finally:
            del self._busy[key]
            self._wake.set()
