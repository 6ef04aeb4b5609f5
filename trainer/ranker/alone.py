"""How sure a match of a standing search has to be, for a precision: fitted with every video judged alone.

A standing search sees one video at a time, so a moment's rank says nothing of the rest of a collection.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from engine.temporal import demoted, suppress
from engine.types import Doubles
from trainer.evaluation.judged import RIGHT, Judgements, Ranking
from trainer.ranker.fusion import FEW, Answers
from workers.ranker.scoring.fusion import COLUMNS, Fusion, confidences

PRECISIONS = (*(round(0.5 + 0.05 * step, 2) for step in range(10)), 0.99)
FOLDS = 5
Bools = NDArray[np.bool_]
Pairs = tuple[tuple[float, float], ...]


def with_table(
    fusion: Fusion,
    answers: Sequence[Answers],
    truths: Sequence[Judgements],
    fit: Callable[[Sequence[Answers], Sequence[Judgements]], Fusion],
) -> Fusion:
    """Return the fusion with its table of precisions. fit: fits one; each query is judged by other folds'."""
    sure, right = [np.zeros(0)], [np.zeros(0, bool)]
    for fold in range(FOLDS):
        others = [row for row in range(len(answers)) if row % FOLDS != fold]
        fitted = fit([answers[row] for row in others], [truths[row] for row in others])
        for row in range(fold, len(answers), FOLDS):
            for one_sure, one_right in judged(fitted, answers[row], truths[row]):
                sure.append(one_sure)
                right.append(one_right)
    return replace(fusion, alone=table(np.concatenate(sure), np.concatenate(right)))


def judged(fusion: Fusion, answer: Answers, truth: Judgements) -> Iterator[tuple[Doubles, Bools]]:
    """Yield how sure each video's moments are and whether they are right, both (n,), without overlaps."""
    for video in np.unique(answer.videos):
        rows = answer.videos == video
        columns, spans, videos = answer.columns[rows].copy(), answer.spans[rows], answer.videos[rows]
        ranks = np.argsort(np.argsort(-columns[:, COLUMNS.index("coarse")], kind="stable"))
        columns[:, COLUMNS.index("log_rank")] = np.log1p(ranks)
        scores = demoted(fusion.score.apply(columns), videos, spans, fusion.overlap)
        order = np.argsort(-scores, kind="stable")
        kept = order[suppress(videos[order], spans[order], fusion.overlap)]
        sure = confidences(fusion.logits(columns, scores, 1)).astype(np.float64)
        yield sure[kept], RIGHT.moments(Ranking(videos[kept], spans[kept]), truth)


def table(sure: Doubles, right: Bools) -> Pairs:
    """Return for each of PRECISIONS that is reached the lowest confidence above which matches are so right.

    One that fewer than FEW matches reach is left out.
    """
    order = np.argsort(-sure, kind="stable")
    shares = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
    found = []
    for precision in PRECISIONS:
        enough = np.flatnonzero(shares >= precision)
        if len(enough) and enough[-1] + 1 >= FEW:
            found.append((precision, round(float(sure[order][enough[-1]]), 6)))
    return tuple(found)
