"""Fan-out, hedging, ejection, retries and coverage under many seeds, in virtual time."""

from typing import Any

import numpy as np
import pytest

from engine.answers import Answer
from engine.errors import DeadlineExceeded, Overloaded, Unavailable
from engine.hedging import Hedging
from engine.proposals import propose
from engine.queries import SearchOptions
from tests.engine.asking import rounded
from tests.engine.corpus import SEGMENT, sentence
from tests.engine.simulation import PLACES, Asked, Simulation, World, simulate

SEEDS, AT_ONCE = 300, 50
OPTIONS = SearchOptions()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World.make(tmp_path_factory.mktemp("simulation") / "collection")


def rows(answer: Answer) -> list[Any]:
    moments = answer.moments
    return [(v, *map(float, span)) for v, span in zip(moments.videos.tolist(), moments.spans, strict=True)]


def expected(world: World, asked: Asked, shards: tuple[int, ...], refined: bool) -> list[Any]:
    """Return the answer over some shards of a version, by hand."""
    key = asked.text, asked.version, shards, refined
    if key in world.expected:
        return world.expected[key]  # type: ignore[no-any-return]
    corpus = world.corpora[asked.version]
    videos = [video for shard in shards for video in corpus.of_shard(shard)]
    hits = corpus.search(sentence(asked.text), videos, OPTIONS.segment_top_k)
    proposals = propose(hits, np.array(corpus.durations), SEGMENT, OPTIONS.rule)
    found = [(v, *map(float, s)) for v, s in zip(proposals.videos.tolist(), proposals.spans, strict=True)]
    if refined:
        judged = [(v, *corpus.judge(asked.text, v, start, end)) for v, start, end in found]
        found = [(v, s, e) for v, s, e, _ in sorted(judged, key=lambda row: -row[3])]
    world.expected[key] = found
    return found


def check(world: World, asked: Asked) -> None:
    """Hold one search to what is promised of every one."""
    assert asked.seconds <= asked.deadline
    if not isinstance(asked.result, Answer):
        assert isinstance(asked.result, Unavailable | DeadlineExceeded | Overloaded)
        assert not (asked.well and asked.deadline >= 2.0), asked.result
        return
    coverage, corpus = asked.result.coverage, world.corpora[asked.version]
    answered = tuple(i for i in range(2) if f"shard-{i:05d}" not in coverage.unreachable)
    assert coverage.shards_answered == len(answered) == 2 - len(coverage.unreachable)
    assert coverage.videos_total == corpus.videos
    assert coverage.videos_searched == sum(len(corpus.of_shard(i)) for i in answered)
    refined = not any(reason.name == "RANKER_SKIPPED" for reason in coverage.degraded)
    found = rows(asked.result)
    assert len(found) == len(set(found))
    assert rounded(found) == rounded(expected(world, asked, answered, refined))
    assert not (asked.well and asked.deadline >= 2.0 and coverage.degraded), coverage


def check_budget(played: Simulation) -> None:
    """Hold the calls beyond one a stage to the burst and the share of hedges and of retries."""
    for attempts, calls in [(played.attempts - played.lacking, sum(kind.calls for kind in played.kinds))]:
        kinds = len(played.kinds)
        assert attempts <= calls + kinds * (10 + PLACES) + 0.3 * calls


@pytest.mark.parametrize("first", range(0, SEEDS, AT_ONCE))
def test_searches_keep_their_promises_whatever_befalls_the_workers(world: World, first: int) -> None:
    for seed in range(first, first + AT_ONCE):
        played = simulate(world, seed)
        try:
            for asked in played.ended:
                check(world, asked)
            check_budget(played)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error


def test_the_budgets_are_those_that_are_checked() -> None:
    hedging = Hedging(PLACES)
    assert sum(hedging.hedges.take() for _ in range(99)) == 10
    assert sum(hedging.retries.take() for _ in range(99)) == PLACES
