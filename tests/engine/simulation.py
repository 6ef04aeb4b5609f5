"""Searches in virtual time over workers that are slow, stall, fail and come back, by a seed.

The coordinator's own parts run: pipeline, scatter and gather, replicas, hedging, probes. What gRPC carries is
answered by oracles, after as long and as badly as the seed says.
"""

import asyncio
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import grpc
import grpc.aio
from cachetools import LRUCache

from engine.answers import Answer
from engine.config import CoordinatorConfig, IndexWorkerConfig, RankerWorkerConfig, Topology
from engine.corpus import Corpus as Opened
from engine.corpus import open_corpus
from engine.deadline import Deadline
from engine.errors import SprError
from engine.fleet import Fleet
from engine.hedging import Hedging
from engine.monitor import Monitor
from engine.pipeline import Pipeline
from engine.preparing import Preparing
from engine.queries import Query
from engine.ranking import Rankers
from engine.retrieval import Retriever
from engine.served import Collections, Served, ServedCollection
from tests.engine.corpus import Corpus
from tests.engine.failing import failure
from tests.engine.oracle import IndexOracle, RankerOracle

TEXTS = ("a red ball", "two dogs", "rain")
LASTS = 6.0  # virtual seconds of a run
MODES = ("well", "well", "slow", "stalled", "dead", "full", "empty")
PLACES = 8  # searches in flight that the retry budget is made for


@dataclass
class World:
    """Two versions of a collection on disk, and what has been answered from them, for all seeds."""

    folder: Path
    corpora: list[Corpus]
    opened: list[Opened]
    answers: dict[tuple[str, int, bytes], Any] = field(default_factory=dict)
    expected: dict[Any, Any] = field(default_factory=dict)

    @staticmethod
    def make(folder: Path) -> "World":
        corpora = [Corpus(videos=4, seed=1), Corpus(videos=5, seed=2)]
        corpora[0].write(folder)
        corpora[1].write(folder, corpora[0].version)
        return World(folder, corpora, [open_corpus(folder, one.version) for one in corpora])


@dataclass
class Worker:
    """A process as gRPC shows it. modes: (since, mode), the last one now."""

    oracle: IndexOracle | RankerOracle
    modes: list[tuple[float, str]]
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def mode(self) -> str:
        return self.modes[-1][1]

    def become(self, mode: str) -> None:
        self.modes.append((time.monotonic(), mode))
        self.changed.set()
        self.changed = asyncio.Event()

    def since(self, began: float) -> set[str]:
        """Return the modes that it has been in from then on."""
        before = [mode for at, mode in self.modes if at <= began][-1:]
        return {*before, *(mode for at, mode in self.modes if at > began)}


@dataclass
class Asked:
    """A search that has ended. well: whether each group had a member that was well all the time."""

    text: str
    version: int
    deadline: float
    seconds: float
    well: bool
    result: Answer | SprError


class Counted(Hedging):
    calls = 0

    def begin(self) -> None:
        self.calls += 1
        super().begin()


class Simulation:
    """One run. attempts: calls that workers got, probes left out."""

    def __init__(self, world: World, seed: int) -> None:
        self.world, self.random = world, random.Random(seed)
        self.config = CoordinatorConfig(max_deadline=4.0, shard_timeout=1.0)
        library = {one.version: one for one in world.corpora}
        replicas, rankers = (self.random.randint(1, 3) for _ in range(2))
        self.kinds = [Counted(PLACES) for _ in range(3)]
        self.attempts, self.lacking, self.ended = 0, 0, list[Asked]()
        self.workers: dict[str, Worker] = {}
        index, judges = [], []
        for shard in range(2):
            for i in range(replicas):
                index.append(IndexWorkerConfig(shard=shard, listen=f"shard-{shard}:{i + 1}"))
                self.workers[index[-1].target] = Worker(IndexOracle(library, shard), [(0.0, "well")])
        for i in range(rankers):
            judges.append(RankerWorkerConfig(listen=f"ranker:{i + 1}", name=f"ranker-{i}"))
            self.workers[judges[-1].target] = Worker(RankerOracle(library), [(0.0, "well")])
        self.topology = Topology(
            path=Path("topology.toml"),
            collection=world.folder,
            coordinator=self.config,
            index=tuple(index),
            ranker=tuple(judges),
        )

    async def play(self) -> None:
        """Run the coordinator's parts, searches, and what befalls the workers."""
        fleet, preparing = Fleet(self.topology), Preparing()
        collection = ServedCollection(self.world.folder, 64)
        sentences: Any = LRUCache(0)
        served = []
        for corpus in self.world.opened:
            rankers = Rankers(corpus, fleet, self.config, *self.kinds[:2])
            retriever = Retriever(corpus, fleet, self.config, self.kinds[2])
            pipeline = Pipeline(corpus, retriever, rankers, sentences)
            served.append(Served(corpus, pipeline, mock.MagicMock()))
        collection.versions = {one.corpus.id: one for one in served}
        collection.switch(served[0])
        monitor = Monitor(Collections([collection]), fleet, preparing)
        await monitor.look()
        probing = asyncio.create_task(monitor.run(mock.AsyncMock()))
        events = [self._search(collection) for _ in range(self.random.randint(4, 12))]
        events += [self._befall() for _ in range(self.random.randint(1, 5))]
        events.append(self._later(lambda: collection.switch(served[1])))
        await asyncio.gather(*events)
        probing.cancel()
        await asyncio.gather(probing, return_exceptions=True)
        await preparing.close()

    async def call(self, target: str, method: str, request: Any, timeout: float) -> Any:
        """Answer a call as a worker does in its mode, or fail as gRPC does."""
        worker = self.workers[target]
        if not method.startswith(("Get", "Prepare", "Drop")):
            self.attempts += 1
        try:
            async with asyncio.timeout(timeout):
                while True:
                    changed, mode = worker.changed, worker.mode
                    if mode == "dead":
                        await asyncio.sleep(0.001)
                        raise failure(grpc.StatusCode.UNAVAILABLE)
                    if mode == "full" and not method.startswith("Get"):
                        raise failure(grpc.StatusCode.RESOURCE_EXHAUSTED)
                    seconds = {"slow": 0.3, "stalled": 1e6}.get(mode, 0.005) * self.random.uniform(0.5, 2)
                    try:
                        async with asyncio.timeout(seconds):
                            await changed.wait()
                    except TimeoutError:
                        return self._answer(worker, method, request)
        except TimeoutError:
            raise failure(grpc.StatusCode.DEADLINE_EXCEEDED) from None

    def _answer(self, worker: Worker, method: str, request: Any) -> Any:
        if method.startswith("Get"):
            response = getattr(worker.oracle, method)(request, None)
            if worker.mode == "empty":
                del response.held[:]
            return response
        if worker.mode == "empty":
            self.lacking += not method.startswith(("Prepare", "Drop"))
            raise failure(grpc.StatusCode.FAILED_PRECONDITION, "GENERATION_MISMATCH")
        if method.startswith(("Prepare", "Drop")):
            return None
        key = method, getattr(worker.oracle, "shard", -1), request.SerializeToString(deterministic=True)
        if key not in self.world.answers:
            self.world.answers[key] = getattr(worker.oracle, method)(request, None)
        return self.world.answers[key]

    async def _later(self, act: Callable[[], object]) -> None:
        await asyncio.sleep(self.random.uniform(0, LASTS / 2))
        act()

    async def _befall(self) -> None:
        """Let a worker fall into another mode for a while."""
        worker = self.random.choice(list(self.workers.values()))
        await asyncio.sleep(self.random.uniform(0, LASTS))
        worker.become(self.random.choice(MODES))
        await asyncio.sleep(self.random.uniform(0, LASTS / 2))
        worker.become("well")

    async def _search(self, collection: ServedCollection) -> None:
        text, limit = self.random.choice(TEXTS), self.random.choice((0.05, 0.5, 2.0, 4.0))
        await asyncio.sleep(self.random.uniform(0, LASTS))
        began = time.monotonic()
        deadline = Deadline.start(limit, self.config.max_deadline, self.config.reserve)
        with collection.pinned() as served:
            version = self.world.opened.index(served.corpus)
            result: Answer | SprError
            try:
                result = await served.pipeline.search(Query(text), deadline)
            except SprError as error:
                result = error
        modes = [(target.partition(":")[0], one.since(began - 3.0)) for target, one in self.workers.items()]
        well, groups = {group for group, some in modes if some == {"well"}}, {group for group, _ in modes}
        # One that is full says so to the caller: its load is not carried to the next one.
        well -= {group for group, some in modes if "full" in some}
        asked = Asked(text, version, limit, time.monotonic() - began, well == groups, result)
        self.ended.append(asked)


@contextmanager
def carried(simulation: Simulation) -> Iterator[None]:
    """Have channels carry calls to a simulation."""

    def channel(target: str, *_: Any) -> Any:
        def unary(path: str, **_: Any) -> Any:
            method = path.rpartition("/")[2]

            def call(request: Any, timeout: float = 60.0, metadata: object = None) -> asyncio.Task[Any]:
                return asyncio.create_task(simulation.call(target, method, request, timeout))

            return call

        return SimpleNamespace(unary_unary=unary)

    with mock.patch.object(grpc.aio, "insecure_channel", channel):
        yield
