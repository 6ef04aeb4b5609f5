"""End-to-end validation: retrieval -> proposals -> ranker -> NDCG on val, by the code that serves."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from engine.channels import sureness
from engine.errors import InvalidInput
from engine.temporal import demoted
from engine.types import Doubles, EncodedQuery, Floats, Proposals, RankQuery
from trainer.evaluation.judged import Judgements, Ranking
from trainer.evaluation.measures import NDCGS
from trainer.evaluation.scores import evaluate
from trainer.ranker.alone import with_table
from trainer.ranker.fusion import Answers, fit_fusion
from trainer.ranker.settings import SELECT
from workers.ranker.model.relo import Relo
from workers.ranker.model.whole import encode_videos
from workers.ranker.scoring.decode import DecodeConfig, in_seconds
from workers.ranker.scoring.fusion import COLUMNS, columns
from workers.ranker.scoring.relo_ranker import ReloRanker
from workers.ranker.stores.contexts import encoded_in_memory
from workers.ranker.stores.features import FeatureMaps

PROBABILITY_WEIGHTS = (0.0, 0.1, 0.3, 1.0)
COARSE_WEIGHTS = (0.0, 3.0, 10.0, 30.0, 100.0)
# Queries ranked at a time: bounds memory.
AT_ONCE = 32
NO_EMBEDDING = np.zeros(0, np.float32)
FOLDS = 5


@dataclass(frozen=True, slots=True)
class Validation:
    """Judged queries with their proposals. truths: by query row, videos as ordinals of `contexts`.

    tokens: one (t, dim) array a query. proposals: one of each query, from its `depth` best `segments`.
    lists, usual_cosine: as `Fusion` has them.
    """

    contexts: FeatureMaps
    tokens: Sequence[Floats]
    proposals: Sequence[Proposals]
    truths: dict[int, Judgements]
    depth: int
    segments: int
    lists: Mapping[str, float] = field(default_factory=dict)
    usual_cosine: float = 0.0

    def coarse(self) -> dict[str, float]:
        """Return the measures of the proposals as they are, in their own order."""
        run = {row: Ranking(p.videos, p.spans) for row, p in enumerate(self.proposals)}
        return evaluate(run, self.truths, NDCGS)

    def judge(self, model: Relo, decode: DecodeConfig, device: torch.device) -> list[Answers]:
        """Return what the ranker finds for every query, from stored contexts where a build stores them."""
        ranker = ReloRanker(model, decode, device)
        window = model.config.window
        if window.padding == "tight":
            videos = encode_videos(model.eval(), self.contexts, device)
            store = encoded_in_memory(model.config.hidden, window.clip_length, videos)
            ranker.use_stored(store, self.contexts, threads=1)
        answers = []
        for first in range(0, len(self.tokens), AT_ONCE):
            part = self.proposals[first : first + AT_ONCE]
            tokens = self.tokens[first : first + AT_ONCE]
            # The trained ranker reads token states alone.
            queries = [_asked(states, own) for states, own in zip(tokens, part, strict=True)]
            answers += self._answers(ranker, queries)
        return answers

    def _answers(self, ranker: ReloRanker, queries: Sequence[RankQuery]) -> list[Answers]:
        windows, evidence = ranker.examine(queries, self.contexts)
        videos = np.concatenate([query.videos for query in queries])
        coarse = np.concatenate([query.spans for query in queries])
        spans = in_seconds(evidence, windows, self.contexts.durations[videos])
        spans = np.where((evidence.found & (spans[:, 1] > spans[:, 0]))[:, None], spans, coarse)
        answers, begin = [], 0
        for query in queries:
            own = slice(begin, begin + len(query))
            texts = None if query.texts is None else sureness(query.texts, self.usual_cosine)
            found = columns(evidence.cut(own), spans[own], query.scores, texts)
            answers.append(Answers(found, query.videos, spans[own]))
            begin = own.stop
        return answers

    def measure(self, answers: Sequence[Answers], decode: DecodeConfig) -> dict[str, float]:
        """Return the measures of answers, sorted by the score that `decode` makes of them."""
        overlap = decode.fusion.overlap if decode.fusion else 1.0
        return self._measured(answers, [_scores(answer, decode) for answer in answers], overlap)

    def weighed(self, answers: Sequence[Answers], decode: DecodeConfig) -> DecodeConfig:
        """Return `decode` with the weights of log p and coarse score that are best for these answers."""
        choices = [
            replace(decode, probability_weight=probability, coarse_weight=coarse)
            for probability, coarse in itertools.product(PROBABILITY_WEIGHTS, COARSE_WEIGHTS)
        ]
        return max([decode, *choices], key=lambda choice: selection(self.measure(answers, choice)))

    def fused(self, answers: Sequence[Answers], decode: DecodeConfig, precision: float) -> DecodeConfig:
        """Return `decode` with a score and a confidence fitted on these answers."""
        truths = [self.truths[row] for row in range(len(answers))]
        fusion = fit_fusion(answers, truths, len(self.contexts), precision=precision)
        fusion = replace(fusion, lists=self.lists, usual_cosine=self.usual_cosine)
        return replace(decode, fusion=fusion)

    def with_table(self, answers: Sequence[Answers], decode: DecodeConfig) -> DecodeConfig:
        """Return fused `decode` with the confidences that precisions of standing searches need."""
        assert decode.fusion is not None
        truths, corpus = [self.truths[row] for row in range(len(answers))], len(self.contexts)
        fusion = with_table(decode.fusion, answers, truths, lambda a, t: fit_fusion(a, t, corpus))
        return replace(decode, fusion=fusion)

    def crossed(self, answers: Sequence[Answers], decode: DecodeConfig) -> dict[str, float]:
        """Return the measures of fused scores, each query's fitted on the other folds of queries."""
        scores: list[Doubles] = [np.zeros(0)] * len(answers)
        for fold in range(FOLDS):
            rows = [row for row in range(len(answers)) if row % FOLDS != fold]
            known = [answers[row] for row in rows], [self.truths[row] for row in rows]
            fusion = fit_fusion(*known, len(self.contexts))
            for row in range(fold, len(answers), FOLDS):
                scores[row] = fusion.score.apply(answers[row].columns)
        return self._measured(answers, scores, fusion.overlap)

    def _measured(
        self, answers: Sequence[Answers], scores: Sequence[Doubles], overlap: float
    ) -> dict[str, float]:
        run = {}
        for row, (answer, own) in enumerate(zip(answers, scores, strict=True)):
            if not np.isfinite(own).all():
                raise InvalidInput("Scores that are not finite have no order; they are of no sound model.")
            order = np.argsort(-demoted(own, answer.videos, answer.spans, overlap), kind="stable")
            run[row] = Ranking(answer.videos[order], answer.spans[order])
        return evaluate(run, self.truths, NDCGS)


def _scores(answer: Answers, decode: DecodeConfig) -> Doubles:
    if decode.fusion is not None:
        return decode.fusion.score.apply(answer.columns)
    weights = {
        "relevance": decode.relevance_weight,
        "log_probability": decode.probability_weight,
        "coarse": decode.coarse_weight,
    }
    names = COLUMNS[: answer.columns.shape[1]]
    scores: Doubles = answer.columns @ np.array([weights.get(name, 0.0) for name in names])
    return scores


def _asked(tokens: Floats, proposals: Proposals) -> RankQuery:
    encoded = EncodedQuery(NO_EMBEDDING, tokens, NO_EMBEDDING, "")
    return RankQuery.of(encoded, proposals)


def selection(metrics: dict[str, float]) -> float:
    """Return what the best model has the most of: the sum of NDCG@{10,20,40} at IoU>=0.7."""
    return sum(metrics[str(measure)] for measure in SELECT)
