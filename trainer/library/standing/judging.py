"""The thread that has added videos judged by the standing searches of all collections."""

import logging
import threading
import time
from collections.abc import Callable, Sequence

from engine import logs, metrics, versions
from engine.errors import Mismatch, SprError
from spr.v1.standing_service_pb2 import Match
from spr_client import SearchError
from trainer.library.standing.asking import Asks
from trainer.library.standing.rows import Batch, Search
from trainer.library.standing.store import Store
from trainer.library.standing.thresholds import Calibration

_log = logging.getLogger("spr.standing")
LOOK = 0.2  # seconds between looks at CURRENT
AGAIN = 1.0  # seconds until a search is tried again that could not judge
NOT_YET = "GENERATION_NOT_FOUND"  # the coordinators prepare the version


class Judging:
    """Takes the batches of each store one after another. on_match: called when there are matches.

    asking: None where the library has no token, which the coordinators ask for.
    """

    def __init__(self, stores: Sequence[Store], asking: Asks | None, on_match: Callable[[], None]) -> None:
        self._stores, self._on_match, self._asks = list(stores), on_match, asking
        # By collection and search: why it does not get on, and when it is tried again.
        self._faults: dict[tuple[str, int], tuple[str, float]] = {}
        self._known: tuple[str, str, Calibration] | None = None
        self._stop, self._wake = threading.Event(), threading.Event()
        self._fault = logs.Fault(_log, "a standing search's record")
        self._thread = threading.Thread(target=self._run, name="standing", daemon=True)

    def start(self) -> None:
        """Begin, where the last process ended."""
        self._thread.start()

    def wake(self) -> None:
        """Look now."""
        self._wake.set()

    def stop(self, patience: float) -> None:
        """End; what is in hand is judged again by the next process."""
        self._stop.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(patience)

    def fault(self, store: Store, search: Search) -> str:
        """Return why a search does not get on, "" where it does."""
        return self._faults.get((store.name, search.number), ("", 0.0))[0]

    def calibration(self, store: Store, version: str) -> Calibration:
        """Return the calibration of a version's ranker; Mismatch where it has none."""
        if self._known is None or self._known[:2] != (store.name, version):
            self._known = store.name, version, Calibration.of(store.collection, version)
        return self._known[2]

    @property
    def asking(self) -> Asks:
        """What asks the coordinators; Mismatch where it may not."""
        if self._asks is None:
            message = "with [access] the library needs a token to search: make one with `spr access token "
            message += "library --scope search`, and write its file as token under [library]"
            raise Mismatch(message, "NO_TOKEN")
        return self._asks

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.clear()
            busy = False
            for store in self._stores:
                try:
                    busy |= self._look(store)
                except (SprError, OSError) as error:
                    self._fault.happened(error, type(error).__name__)
                except Exception:
                    _log.exception("standing searches failed; they go on")
                else:
                    self._fault.over()
            if not busy:
                self._wake.wait(LOOK)

    def _look(self, store: Store) -> bool:
        """Let every search of a collection judge a batch; whether any did."""
        store.note_current()
        version, busy = versions.newest(store.collection), False
        for search in store.searches() if version else []:
            _, again = self._faults.get((store.name, search.number), ("", 0.0))
            if self._stop.is_set() or time.monotonic() < again:
                continue
            batch = store.next_batch(search)
            if batch is not None and version is not None:
                busy |= self._judge(store, search, batch, version)
        return busy

    def _judge(self, store: Store, search: Search, batch: Batch, version: str) -> bool:
        """Judge a batch, if that can be done now."""
        try:
            threshold = self.calibration(store, version).threshold(search.asked)
            found: list[Match] = []
            for video in batch.videos:
                if self._stop.is_set():
                    return False
                found += self.asking.matches(search, video, version, threshold)
        except (SearchError, Mismatch) as error:
            why = "" if error.reason == NOT_YET else str(error)
            self._faults[store.name, search.number] = why, time.monotonic() + (AGAIN if why else LOOK)
            return False
        self._faults.pop((store.name, search.number), None)
        store.judged(search, batch, found)
        metrics.bound(metrics.STANDING_JUDGED, store.name).inc(len(batch.videos))
        metrics.bound(metrics.STANDING_MATCHES, store.name).inc(len(found))
        if found:
            self._on_match()
        return True
