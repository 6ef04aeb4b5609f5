"""What every search promises, checked of the searches of simulations."""

from typing import Any

import numpy as np

from engine.answers import Answer
from engine.errors import DeadlineExceeded, Overloaded, Unavailable
from engine.proposals import propose
from engine.queries import SearchOptions
from tests.engine.asking import rounded
from tests.engine.corpus import SEGMENT, sentence
from tests.engine.simulation import PLACES, Asked, Simulation, World, carried
from tests.engine.virtual_time import run

OPTIONS = SearchOptions()


def simulate(world: World, seed: int) -> Simulation:
    """Play a seed to its end."""
    simulation = Simulation(world, seed)
    with carried(simulation):
        run(simulation.play())
    return simulation


def play(world: World, seeds: range) -> None:
    """Play seeds, and hold every search to its promises; AssertionError names the seed."""
    for seed in seeds:
        played = simulate(world, seed)
        try:
            for asked in played.ended:
                check(world, asked)
            check_budget(played)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error


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
    calls = sum(kind.calls for kind in played.kinds)
    assert played.attempts - played.lacking <= 1.3 * calls + len(played.kinds) * (10 + PLACES)
