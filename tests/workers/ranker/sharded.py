"""Ranker workers that hold some shards each, as real services, and a coordinator's calls to them."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import grpc.aio

from engine.config import (
    CoordinatorConfig,
    EncoderWorkerConfig,
    IndexWorkerConfig,
    RankerWorkerConfig,
    Topology,
)
from engine.corpus import Corpus
from engine.fleet import Fleet
from engine.hedging import Hedging
from engine.ranking import Rankers
from spr.internal.v1.encoder_service_pb2_grpc import add_EncoderServiceServicer_to_server
from spr.internal.v1.ranker_service_pb2_grpc import add_RankerServiceServicer_to_server
from tests.engine.server import Server
from tests.workers.ranker.scoring.test_fusion import FUSION
from workers.duty import Duty
from workers.ranker.models import SharedModels
from workers.ranker.query_models import NoEncoder
from workers.ranker.scorer import Scorer, Scorers
from workers.ranker.scoring.relo_ranker import ReloRanker
from workers.ranker.servicer import EncoderServicer, RankerServicer
from workers.versions import Held

VIDEOS = {f"v{number:02d}": 12 + 9 * number for number in range(12)}
SHARDS = [f"shard-{number:05d}" for number in range(3)]
# Of each ranker the shards that it holds; the encoder holds none and encodes.
WHOLE, ENCODER = (0, 1, 2), ()
Found = TypeVar("Found")


class Asked(RankerServicer):
    """A ranker worker that remembers what it was asked."""

    calls = 0

    async def Rank(self, request: Any, context: Any) -> Any:
        self.calls += 1
        return await super().Rank(request, context)


@dataclass
class Worker:
    server: Server
    asked: Asked
    held: Held[Scorer]


@dataclass
class World:
    corpus: Corpus
    workers: Mapping[tuple[int, ...], Worker]

    def calls(self) -> int:
        return sum(worker.asked.calls for worker in self.workers.values())

    def ask(
        self,
        groups: list[tuple[int, ...]],
        question: Callable[[Rankers], Awaitable[Found]],
        encoder: bool = False,
    ) -> Found:
        """Return what a coordinator's calls bring, with rankers that hold these shards."""
        topology = Topology(
            path=Path("t.toml"),
            collection=self.corpus.directory,
            index=tuple(IndexWorkerConfig(shard=shard, listen=f"h:{shard + 1}") for shard in WHOLE),
            ranker=tuple(
                RankerWorkerConfig(listen=self.workers[group].server.address, shards=group)
                for group in groups
            ),
            encoder=(EncoderWorkerConfig(listen=self.workers[ENCODER].server.address),) * encoder,
        )

        async def run() -> Found:
            fleet = Fleet(topology)
            for member in fleet.rankers.members:
                member.held = {self.corpus.id}
            try:
                return await question(Rankers(self.corpus, fleet, CoordinatorConfig(), Hedging(), Hedging()))
            finally:
                await fleet.close()

        return asyncio.run(run())


def serving(world: Path, shards: tuple[int, ...]) -> Worker:
    """Serve some shards as a ranker worker's process does."""
    ranks = shards != ENCODER
    names = None if shards == WHOLE else [SHARDS[shard] for shard in shards]
    shared = SharedModels("cpu", shards=names, encodes=shards in (WHOLE, ENCODER))
    held = Held([world], Scorers(shared).open)
    held.prepare_current()
    for scorer in held.contents():
        if isinstance(scorer.models.ranker, ReloRanker):
            scorer.models.ranker.decode = replace(scorer.models.ranker.decode, fusion=FUSION)
        assert isinstance(scorer.models.encoder, NoEncoder) == (ranks and shards != WHOLE)
    asked = Asked(held, "cpu", Duty())

    def add(server: grpc.aio.Server) -> None:
        add_EncoderServiceServicer_to_server(EncoderServicer(held, Duty()), server)
        add_RankerServiceServicer_to_server(asked, server)

    return Worker(Server(add), asked, held)
