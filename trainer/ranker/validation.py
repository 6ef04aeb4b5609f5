"""How good the whole line is on val: retrieval -> proposals -> ranker -> NDCG, by the code that serves."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from engine.types import Floats, Proposals
from trainer.measures import NDCGS, Ranking, Truth, evaluate
from trainer.ranker.settings import SELECT
from workers.ranker.context import ContextStore
from workers.ranker.decode import DecodeConfig, RankedColumns
from workers.ranker.relo import Relo
from workers.ranker.relo_ranker import ReloRanker

PROBABILITY_WEIGHTS = (0.0, 0.1, 0.3, 1.0)
COARSE_WEIGHTS = (0.0, 3.0, 10.0, 30.0, 100.0)


@dataclass(frozen=True, slots=True)
class Validation:
    """Judged queries with their proposals. truths: by query row, videos as ordinals of `contexts`.

    tokens: one (t, dim) array a query. proposals: one of each query.
    """

    contexts: ContextStore
    tokens: Sequence[Floats]
    proposals: Sequence[Proposals]
    truths: dict[int, Truth]

    def coarse(self) -> dict[str, float]:
        """Return the measures of the proposals as they are, in their own order."""
        run = {row: Ranking(p.videos, p.spans) for row, p in enumerate(self.proposals)}
        return evaluate(run, self.truths, NDCGS)

    def judge(self, model: Relo, decode: DecodeConfig, device: torch.device) -> list[RankedColumns]:
        """Return the ranker's answer to every query, with log p as its score; `measure` weighs it."""
        bare = replace(decode, relevance_weight=0.0, probability_weight=1.0, coarse_weight=0.0)
        ranker = ReloRanker(model, bare, device)
        return [
            ranker.rank(tokens, self.contexts, proposals.videos, proposals.spans, proposals.scores)
            for tokens, proposals in zip(self.tokens, self.proposals, strict=True)
        ]

    def measure(self, judged: Sequence[RankedColumns], decode: DecodeConfig) -> dict[str, float]:
        """Return the measures of judged proposals, sorted by the score that `decode` makes of them."""
        run = {}
        for row, (proposals, columns) in enumerate(zip(self.proposals, judged, strict=True)):
            scores = decode.relevance_weight * columns.relevances.astype(np.float64)
            scores += decode.probability_weight * columns.scores + decode.coarse_weight * proposals.scores
            order = np.argsort(-scores, kind="stable")
            run[row] = Ranking(proposals.videos[order], columns.spans[order])
        return evaluate(run, self.truths, NDCGS)

    def fitted(self, judged: Sequence[RankedColumns], decode: DecodeConfig) -> DecodeConfig:
        """Return `decode` with the weights of log p and coarse score that are best for these answers."""
        choices = [
            replace(decode, probability_weight=probability, coarse_weight=coarse)
            for probability, coarse in itertools.product(PROBABILITY_WEIGHTS, COARSE_WEIGHTS)
        ]
        return max([decode, *choices], key=lambda choice: selection(self.measure(judged, choice)))


def selection(metrics: dict[str, float]) -> float:
    """Return what the best model has the most of: the sum of NDCG@{10,20,40} at IoU>=0.7."""
    return sum(metrics[str(measure)] for measure in SELECT)
