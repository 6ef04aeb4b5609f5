"""How sure a match of a standing search has to be, for a precision: fitted with every video judged alone.

A standing search sees one video at a time, so a moment's rank says nothing of the rest of a collection.

A precision is promised for videos and queries that are not there yet. Matches of one video, or of one query,
are right or wrong together, so they count as no more trials than there are videos, or queries, among them:
a precision is reached where the lower end of Wilson's interval for that many trials reaches it.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from engine.temporal import demoted, suppress
from engine.types import Doubles
from trainer.evaluation.judged import RIGHT, Judgements, Ranking
from trainer.ranker.fusion import FEW, Answers
from workers.ranker.scoring.fusion import COLUMNS, Fusion, confidences

PRECISIONS = (*(round(0.5 + 0.05 * step, 2) for step in range(10)), 0.99)
FOLDS = 5
ONE_SIDED = 1.6449  # standard deviations: 95 % of a normal distribution lie above minus that
Bools = NDArray[np.bool_]
Numbers = NDArray[np.int64]
Pairs = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Judged:
    """Moments of videos that were judged alone: how sure they are, and whether right. All (n,)."""

    sure: Doubles
    right: Bools
    videos: Numbers
    queries: Numbers

    @staticmethod
    def of(rows: Iterable[tuple[Doubles, Bools, int, int]]) -> "Judged":
        """Return the moments of (sure, right, video, query), one row a video and query."""
        found = [(np.zeros(0), np.zeros(0, bool), 0, 0), *rows]
        counts = [len(row[0]) for row in found]
        videos, queries = (np.repeat(np.array([row[at] for row in found], int), counts) for at in (2, 3))
        return Judged(
            np.concatenate([row[0] for row in found]),
            np.concatenate([row[1] for row in found]),
            videos,
            queries,
        )

    def surest_first(self) -> "Judged":
        """Return the same moments in order."""
        order = np.argsort(-self.sure, kind="stable")
        return Judged(self.sure[order], self.right[order], self.videos[order], self.queries[order])

    def trials(self) -> Numbers:
        """Return for each moment the lesser number of videos and of queries up to it: (n,)."""
        return np.minimum(_distinct(self.videos), _distinct(self.queries))

    def promised(self) -> Doubles:
        """Return what all moments up to each promise, 0 for fewer trials than FEW: (n,)."""
        trials = self.trials()
        shares = np.cumsum(self.right) / np.arange(1, len(trials) + 1)
        return np.where(trials >= FEW, lower(shares, trials), 0.0)


def with_table(
    fusion: Fusion,
    answers: Sequence[Answers],
    truths: Sequence[Judgements],
    fit: Callable[[Sequence[Answers], Sequence[Judgements]], Fusion],
) -> Fusion:
    """Return the fusion with its table of precisions. fit: fits one; each query is judged by other folds'."""
    found: list[tuple[Doubles, Bools, int, int]] = []
    for fold in range(FOLDS):
        others = [row for row in range(len(answers)) if row % FOLDS != fold]
        fitted = fit([answers[row] for row in others], [truths[row] for row in others])
        for row in range(fold, len(answers), FOLDS):
            found += [(*one, row) for one in judged(fitted, answers[row], truths[row])]
    return replace(fusion, alone=table(Judged.of(found)))


def judged(fusion: Fusion, answer: Answers, truth: Judgements) -> Iterator[tuple[Doubles, Bools, int]]:
    """Yield for each video how sure its moments are, whether right, (n,), not overlapping; its ordinal."""
    for video in np.unique(answer.videos).tolist():
        rows = answer.videos == video
        columns, spans, videos = answer.columns[rows].copy(), answer.spans[rows], answer.videos[rows]
        ranks = np.argsort(np.argsort(-columns[:, COLUMNS.index("coarse")], kind="stable"))
        columns[:, COLUMNS.index("log_rank")] = np.log1p(ranks)
        scores = demoted(fusion.score.apply(columns), videos, spans, fusion.overlap)
        order = np.argsort(-scores, kind="stable")
        kept = order[suppress(videos[order], spans[order], fusion.overlap)]
        sure = confidences(fusion.logits(columns, scores, 1)).astype(np.float64)
        yield sure[kept], RIGHT.moments(Ranking(videos[kept], spans[kept]), truth), video


def table(found: Judged) -> Pairs:
    """Return for each of PRECISIONS that can be promised the lowest confidence from which on it is."""
    found = found.surest_first()
    promised = found.promised()
    pairs = []
    for precision in PRECISIONS:
        enough = np.flatnonzero(promised >= precision)
        if len(enough):
            # Rounded up, the last match that counts would not be one.
            pairs.append((precision, np.floor(found.sure[enough[-1]] * 1e6).item() / 1e6))
    return tuple(pairs)


def lower(shares: Doubles, trials: Numbers) -> Doubles:
    """Return the lower ends of Wilson's one-sided 95 % intervals of shares of trials, all (n,)."""
    square = ONE_SIDED**2
    middle = shares + square / (2 * trials)
    spread = ONE_SIDED * np.sqrt(shares * (1 - shares) / trials + square / (4 * trials**2))
    ends: Doubles = (middle - spread) / (1 + square / trials)
    return ends


def _distinct(values: Numbers) -> Numbers:
    """Return how many distinct values there are up to each: (n,)."""
    first = np.zeros(len(values), int)
    first[np.unique(values, return_index=True)[1]] = 1
    return np.cumsum(first)
