"""Rankers that hold a shard each answer what one that holds all does: real services, as coordinators ask."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, TypeVar

import grpc.aio
import numpy as np
import pytest

from engine.config import CoordinatorConfig, EncoderWorkerConfig, IndexWorkerConfig, Topology
from engine.config import RankerWorkerConfig as RankerConfig
from engine.corpus import Corpus, open_corpus
from engine.deadline import Deadline
from engine.errors import Mismatch, Unavailable
from engine.examples import Picture, Span
from engine.fleet import Fleet
from engine.hedging import Hedging
from engine.ranking import Rankers, ordered
from engine.types import EncodedQuery, Proposals, Ranked
from spr.internal.v1.encoder_service_pb2_grpc import add_EncoderServiceServicer_to_server
from spr.internal.v1.ranker_service_pb2_grpc import add_RankerServiceServicer_to_server
from tests import numeric
from tests.engine.server import Server
from tests.workers.ranker.factories import TEXTS, tiny
from tests.workers.ranker.scoring.test_fusion import FUSION
from tests.workers.test_pictures import file_of, noise
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
                RankerConfig(listen=self.workers[group].server.address, shards=group) for group in groups
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


@pytest.fixture(scope="module", params=["trained", "zero-shot"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    trained = request.param == "trained"
    folder = tmp_path_factory.mktemp("by_shard") / "collection"
    made = tiny(folder, trained=trained, contexts="float16" if trained else "", videos=VIDEOS)
    made.version(*([made.part(list(VIDEOS)[shard::3])] for shard in range(3)))
    groups: list[tuple[int, ...]] = [WHOLE, ENCODER, (0,), (1,), (2,), (0, 1), (1, 2)]
    workers = {shards: serving(folder, shards) for shards in groups}
    yield World(open_corpus(folder), workers)
    for worker in workers.values():
        worker.server.stop()


def soon() -> Deadline:
    return Deadline.start(None, 20.0, 0.0)


def proposals(corpus: Corpus, count: int = 60) -> Proposals:
    rng = np.random.default_rng(1)
    videos = rng.integers(0, len(VIDEOS), count).astype(np.int32)
    starts = rng.random(count) * corpus.catalogue.durations[videos] * 0.8
    spans = np.stack([starts, np.minimum(starts + 6, corpus.catalogue.durations[videos])], axis=1)
    scores = rng.normal(size=count).astype(np.float32)
    return Proposals(videos, spans, np.arange(count, dtype=np.int32), scores)


def same(found: Ranked | None, wanted: Ranked | None) -> None:
    """Compare to the bit what stored contexts gave; the curve multiplies matrices of other heights."""
    assert found is not None
    assert wanted is not None
    for column in fields(wanted):
        one, other = getattr(found, column.name), getattr(wanted, column.name)
        if wanted.ranker == "similarity-curve" and isinstance(other, np.ndarray) and other.dtype != bool:
            numeric.close(one, other)
        else:
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("groups", "calls"), [([(0,), (1,), (2,)], 3), ([(0, 1), (1, 2)], 2), ([(0, 1), WHOLE], 1)], ids=str
)
def test_three_rankers_by_shard_answer_what_one_does(
    world: World, groups: list[tuple[int, ...]], calls: int
) -> None:
    chosen = proposals(world.corpus)

    async def ranked(rankers: Rankers) -> list[Ranked | None]:
        query = await rankers.encode(TEXTS[0], soon())
        shown = replace(query, token_states=query.token_states[:0])
        return [await rankers.rank(one, chosen, soon(), 7) for one in (query, shown)]

    before = sum(worker.asked.calls for worker in world.workers.values())
    wanted = world.ask([WHOLE], ranked)
    assert sum(worker.asked.calls for worker in world.workers.values()) - before == 2
    found = world.ask(groups, ranked, encoder=WHOLE not in groups)
    asked = sum(worker.asked.calls for worker in world.workers.values()) - before - 2
    # And one that makes scores of all that was found.
    assert asked == 2 * (calls + (calls > 1))
    for one, other in zip(found, wanted, strict=True):
        same(one, other)


def test_a_lost_group_leaves_its_proposals_as_they_are(world: World) -> None:
    chosen, corpus = proposals(world.corpus), world.corpus
    lost = np.isin(corpus.catalogue.shards[chosen.videos], [2])

    async def ranked(rankers: Rankers) -> Ranked | None:
        return await rankers.rank(await rankers.encode(TEXTS[0], soon()), chosen, soon())

    async def without(rankers: Rankers) -> Ranked | None:
        (gone,) = (one for one in rankers._workers.members if one.place.shards == frozenset({SHARDS[2]}))
        gone.barred = "drains"
        return await ranked(rankers)

    async def of_others(rankers: Rankers) -> Ranked | None:
        query = await rankers.encode(TEXTS[0], soon())
        return await rankers.rank(query, chosen.of(np.flatnonzero(~lost)), soon())

    found = world.ask([(0,), (1,), (2,)], without, encoder=True)
    wanted = world.ask([WHOLE], of_others)
    assert found is not None
    assert wanted is not None
    assert found.seen is not None
    np.testing.assert_array_equal(found.seen, ~lost)
    numeric.close(found.scores[~lost], wanted.scores)
    moments = ordered(chosen, found)
    last = moments.proposals[-lost.sum() :]
    np.testing.assert_array_equal(last, np.flatnonzero(lost))
    np.testing.assert_array_equal(moments.spans[-lost.sum() :], chosen.spans[lost])
    assert not moments.refined[-lost.sum() :].any()
    np.testing.assert_array_equal(moments.scores[-lost.sum() :], chosen.scores[lost].astype(float))


def test_a_video_is_compared_and_shown_by_who_holds_it(world: World) -> None:
    spans = [Span(video, 2.0, 9.0) for video in range(6)]

    async def both(rankers: Rankers) -> tuple[list[Any], EncodedQuery]:
        query = await rankers.encode(TEXTS[1], soon())
        compared = [await rankers.compare(query, span.video, soon()) for span in spans]
        return compared, await rankers.encode_examples([*spans, Picture(file_of(noise()))], soon())

    wanted, found = world.ask([WHOLE], both), world.ask([(0,), (1,), (2,)], both, encoder=True)
    for one, other in zip(found[0], wanted[0], strict=True):
        np.testing.assert_array_equal(one.frames, other.frames)
    for name in ("embedding", "token_states", "text_embedding"):
        np.testing.assert_array_equal(getattr(found[1], name), getattr(wanted[1], name))


def test_a_worker_holds_what_its_entry_names_and_refuses_the_rest(world: World) -> None:
    (of_one,), (of_all,), (of_none,) = (
        world.workers[shards].held.contents() for shards in ((1,), WHOLE, ENCODER)
    )
    assert [len(scorer.watches) for scorer in (of_one, of_all, of_none)] == [1, 3, 0]
    about = of_one.about()
    assert (list(about.shards), about.videos) == ([SHARDS[1]], 4)
    assert list(of_all.about().shards) == SHARDS
    with pytest.raises(Mismatch, match="holds shard-00001"):
        of_one.models.check_held(np.array([1, 0]))
    with pytest.raises(Mismatch, match="encodes nothing"):
        of_one.encode(TEXTS[0])


def test_nobody_ranks_where_none_holds_the_shards(world: World) -> None:
    async def ranked(rankers: Rankers) -> Any:
        query = await rankers.encode(TEXTS[0], soon())
        with pytest.raises(Unavailable):
            await rankers.encode_examples([Span(2, 0.0, 4.0)], soon())
        rows = np.flatnonzero(world.corpus.catalogue.shards[proposals(world.corpus).videos] == 2)
        return await rankers.rank(query, proposals(world.corpus).of(rows), soon())

    assert world.ask([(0,), (1,)], ranked, encoder=True) is None
