"""Rankers that hold a shard each answer what one that holds all does: real services, as coordinators ask."""

from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

from engine.corpus import Corpus, open_corpus
from engine.deadline import Deadline
from engine.errors import Mismatch, Unavailable
from engine.examples import Picture, Span
from engine.ranking import Rankers, ordered
from engine.types import EncodedQuery, Proposals, Ranked
from tests import numeric
from tests.workers.ranker.factories import TEXTS, tiny
from tests.workers.ranker.sharded import ENCODER, SHARDS, VIDEOS, WHOLE, World, serving
from tests.workers.test_pictures import file_of, noise


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

    before = world.calls()
    wanted = world.ask([WHOLE], ranked)
    assert world.calls() - before == 2
    found = world.ask(groups, ranked, encoder=WHOLE not in groups)
    # And one that makes scores of all that was found.
    assert world.calls() - before - 2 == 2 * (calls + (calls > 1))
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
    last = moments.of(np.arange(len(moments))[-lost.sum() :])
    np.testing.assert_array_equal(last.proposals, np.flatnonzero(lost))
    np.testing.assert_array_equal(last.spans, chosen.spans[lost])
    np.testing.assert_array_equal(last.scores, chosen.scores[lost].astype(float))
    assert not last.refined.any()


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
    about.fault = "what one caller writes is not told to others"
    assert not of_one.about().fault
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
