"""An operator who changes a collection all the time, and knows what must be there after each change."""

import random
import shutil
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine import versions
from engine.errors import SprError
from recipes.chaos.operator import Operator
from recipes.chaos.oracle import Oracle
from recipes.crash import schedule
from trainer.library.verify import verify

NEWEST = 5  # versions among which one is activated
KEPT = 20  # versions that garbage collection leaves
PAUSE = 0.2  # seconds between deeds


class Deeds:
    """One deed after the other, in a thread. videos: what the current version must hold.

    acknowledged: request ids of jobs. violations: sentences.
    """

    def __init__(
        self, collection: Path, spares: tuple[Path, ...], operator: Operator, oracle: Oracle
    ) -> None:
        self.collection, self.operator, self.oracle = collection, operator, oracle
        self.spares = {path.stem: path for path in spares}
        self.videos = oracle.videos(versions.current(collection))
        self.acknowledged: list[str] = []
        self.done: Counter[str] = Counter()
        self.violations: list[str] = []
        self._snapshots = collection.parent / "snapshots"
        # Held by a deed, and by a check: a check never sees half of a deed.
        self._boundary, self._wanted, self._over = threading.Lock(), threading.Event(), threading.Event()

    @contextmanager
    def going_on(self, seed: int) -> Iterator[None]:
        """Do deeds for a block."""
        thread = threading.Thread(target=self._work, args=(seed,))
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Wait for the end of the deed in hand, and let no other begin for a block."""
        self._wanted.set()
        with self._boundary:
            try:
                yield
            finally:
                self._wanted.clear()

    def check(self) -> None:
        """Note what is not there of all that was acknowledged. Between deeds alone."""
        found = self.oracle.videos(versions.current(self.collection))
        if found != self.videos:
            self._violated(
                f"version {versions.current(self.collection)} lacks {sorted(self.videos - found)} "
                f"and has {sorted(found - self.videos)} that were deleted"
            )
            self.videos = found
        listed = {job.request_id for job in self.operator.jobs()}
        if missing := [one for one in self.acknowledged[-500:] if one not in listed]:
            self._violated(f"acknowledged jobs are not listed: {', '.join(missing)}")

    def _violated(self, sentence: str) -> None:
        self.violations.append(sentence)

    def _work(self, seed: int) -> None:
        for kind, chance in schedule.deeds(seed):
            while self._wanted.is_set() and not self._over.is_set():
                self._over.wait(0.01)
            if self._over.is_set():
                return
            with self._boundary:
                try:
                    self._do(kind, chance)
                    self.done[kind] += 1
                except SprError as error:
                    self._violated(f"{kind}: {error}")
                    self.videos = self.oracle.videos(versions.current(self.collection))
            self._over.wait(PAUSE)

    def _do(self, kind: str, chance: random.Random) -> None:
        absent, present = (sorted(names) for names in (self.spares.keys() - self.videos, self._removable()))
        if kind in ("add", "adds") and absent:
            self._add(chance.sample(absent, min(len(absent), 3 if kind == "adds" else 1)))
        elif kind == "delete" and present:
            video = chance.choice(present)
            self._job(delete=video)
            self.videos = self.videos - {video}
        elif kind in ("activate", "rollback"):
            self._switch(kind, chance)
        elif kind == "compact":
            self._job(compact="")
        elif kind == "gc":
            # What was answered from a version is judged later than it may be gone.
            for number in versions.numbers(self.collection):
                self.oracle.know(versions.read(self.collection, str(number)).id)
            self._job(gc=str(KEPT))
        elif kind == "snapshot":
            self._snapshot()

    def _removable(self) -> set[str]:
        return self.spares.keys() & self.videos

    def _job(self, **work: str) -> None:
        job = self.operator.submit(**work)
        self.acknowledged.append(job.request_id)
        self.operator.done(job)

    def _add(self, names: list[str]) -> None:
        jobs = [self.operator.submit(add=str(self.spares[name])) for name in names]
        self.acknowledged += [job.request_id for job in jobs]
        for job in jobs:
            self.operator.done(job)
        self.videos = self.videos | set(names)

    def _switch(self, kind: str, chance: random.Random) -> None:
        newest = versions.numbers(self.collection)[-NEWEST:]
        if kind == "activate":
            version = versions.read(self.collection, str(chance.choice(newest))).id
            try:
                self.operator.activate(version)
            except SprError as error:
                # Nobody could prepare it: nothing has changed.
                if error.reason != "FAILED_PRECONDITION":
                    raise
                return
        else:
            try:
                version = self.operator.roll_back()
            except SprError as error:
                if error.reason not in ("FAILED_PRECONDITION", "NOT_FOUND", "GENERATION_NOT_FOUND"):
                    raise
                return
        self.videos = self.oracle.videos(version)

    def _snapshot(self) -> None:
        """Take a snapshot; it must be whole, and hold the same videos."""
        self._job(snapshot=str(self._snapshots))
        if damaged := verify(self._snapshots):
            self._violated(f"a snapshot is damaged: {damaged[0]}")
        elif (found := Oracle.videos_of(self._snapshots)) != self.videos:
            self._violated(f"a snapshot holds {sorted(found)} in place of {sorted(self.videos)}")
        shutil.rmtree(self._snapshots)
