"""Ranking where no worker holds all contexts: who is asked about which proposals, and what comes of it.

Each worker says what is in its proposals, each by itself; scores, ranks and confidences depend on all of
them, so that a worker makes them of all that was found.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.corpus import Corpus
from engine.replica_health import Health
from engine.replicas import Replicas
from engine.types import Doubles, Ordinals, Ranked, RankQuery


@dataclass(frozen=True, slots=True)
class Group:
    """Rows (n,) of proposals that one worker is asked about, as it holds these shards."""

    shards: frozenset[str]
    rows: NDArray[np.intp]


def groups(workers: Replicas[Any], corpus: Corpus, videos: Ordinals) -> list[Group]:
    """Return who is asked about proposals of these videos (n,): one group where one worker holds all."""
    if not workers.split:
        return [Group(frozenset(), np.arange(len(videos)))]
    of_video, shards = corpus.catalogue.shards[videos], corpus.version.shards
    found = []
    for mine in covering(workers, corpus.id, names(corpus, videos)):
        numbers = [number for number, shard in enumerate(shards) if shard.name in mine]
        found.append(Group(mine, np.flatnonzero(np.isin(of_video, numbers))))
    return found


def names(corpus: Corpus, videos: Ordinals) -> frozenset[str]:
    """Return the names of the shards that videos (n,) lie in."""
    shards = corpus.version.shards
    return frozenset(shards[number].name for number in np.unique(corpus.catalogue.shards[videos]))


def covering(workers: Replicas[Any], version: str, shards: frozenset[str]) -> list[frozenset[str]]:
    """Return shards in as few sets as one worker each holds, found greedily; of well workers where it can."""
    now = time.monotonic()
    well = [
        one
        for one in workers.members
        if version in one.held and not one.barred and one.health.state(now) is Health.HEALTHY
    ]
    left, found = shards, list[frozenset[str]]()
    for members in (well, workers.members):
        while left:
            shared = [left if one.shards is None else one.shards & left for one in members]
            best = max(shared, key=len, default=frozenset[str]())
            if not best:
                break
            found.append(best)
            left = left - best
    # What nobody holds is asked for all the same: the call says why not.
    return found + [frozenset([shard]) for shard in sorted(left)]


def together(parts: Sequence[tuple[NDArray[np.intp], Doubles]]) -> Doubles:
    """Return what was found in some rows each, as one array in the rows' order; NaN fills short ones."""
    width = max(found.shape[1] for _, found in parts)
    wide = [
        np.pad(found, ((0, 0), (0, width - found.shape[1])), constant_values=np.nan) for _, found in parts
    ]
    order = np.argsort(np.concatenate([rows for rows, _ in parts]))
    whole: Doubles = np.concatenate(wide)[order]
    return whole


def spread(ranked: Ranked, rows: NDArray[np.intp], asked: RankQuery) -> Ranked:
    """Return the ranking of some rows as one of all proposals: the others are as they were, and not seen."""
    n = len(asked)
    seen = np.zeros(n, np.bool_)
    seen[rows] = True
    spans, scores = asked.spans.copy(), np.full(n, ranked.scores.min(initial=0.0))
    relevances, refined = np.zeros(n, np.float32), np.zeros(n, np.bool_)
    spans[rows], scores[rows] = ranked.spans, ranked.scores
    relevances[rows], refined[rows] = ranked.relevances, ranked.refined
    sure, best = np.full(n, np.nan, np.float32), np.full(n, np.nan)
    if ranked.confidences is not None:
        sure[rows] = ranked.confidences
    if ranked.best is not None:
        best[rows] = ranked.best
    return replace(
        ranked,
        spans=spans,
        scores=scores,
        relevances=relevances,
        refined=refined,
        confidences=None if ranked.confidences is None else sure,
        best=None if ranked.best is None else best,
        seen=seen,
    )
