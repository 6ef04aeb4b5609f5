"""Queries as one ranker reads them: the trained one token states alone, the zero-shot one an embedding."""

import numpy as np

from engine.types import Doubles, Floats, Ordinals, Ranked, RankQuery
from workers.ranker.scoring.ranker import Ranker
from workers.ranker.stores.features import FeatureMaps


def of_tokens(tokens: Floats, videos: Ordinals, spans: Doubles, scores: Floats | None = None) -> RankQuery:
    scores = np.zeros(len(videos), np.float32) if scores is None else scores
    return RankQuery(tokens, np.zeros(0, np.float32), videos, spans, scores)


def of_embedding(
    embedding: Floats, videos: Ordinals, spans: Doubles, scores: Floats | None = None
) -> RankQuery:
    scores = np.zeros(len(videos), np.float32) if scores is None else scores
    return RankQuery(np.zeros((0, 0), np.float32), embedding, videos, spans, scores)


def rank(ranker: Ranker, query: RankQuery, features: FeatureMaps) -> Ranked:
    (ranked,) = ranker.rank_many([query], features)
    return ranked
