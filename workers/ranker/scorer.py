"""Batches, caches and deadlines in front of the models; texts have texts.py."""

from functools import partial

import numpy as np

from engine.types import EncodedQuery, Proposals, Ranked, RankQuery
from workers.ranker.batching import Batcher
from workers.ranker.encoder.known_queries import KnownQueries
from workers.ranker.models import Models
from workers.ranker.texts import TYPICAL, CachedTextEncoder


class Scorer:
    """Models behind two queues: concurrent texts are encoded together, and so are queries ranked.

    rank: ranks one RankQuery with others that wait; see `Batcher`.
    """

    def __init__(
        self,
        models: Models,
        *,
        max_batch: int = 16,
        max_delay: float = 0.002,
        cached: int = 1024,
        cached_bytes: int = 64 << 20,
    ) -> None:
        """See `CachedTextEncoder` for max_batch, max_delay, cached and cached_bytes."""
        self.models = models
        # Windows encoded online take a second a query: in a batch, every caller would wait for the last.
        most = max_batch if models.ranker.batched else 1
        rank_many = partial(models.ranker.rank_many, features=models.features)
        self.rank: Batcher[RankQuery, Ranked] = Batcher(rank_many, most, max_delay)
        self._texts = CachedTextEncoder(
            self.models.encode,
            max_batch=max_batch,
            max_delay=max_delay,
            cached=cached,
            cached_bytes=cached_bytes,
        )

    def encode(self, text: str, timeout: float | None = None) -> EncodedQuery:
        """Return a text's vectors, computed or from the cache; see `CachedTextEncoder.encode`."""
        return self._texts.encode(text, timeout)

    def warm_up(self) -> None:
        """Run every model once, so that the first caller does not wait for what happens only once."""
        models = self.models
        models.ranker.warm_up(models.features)
        for text in () if isinstance(models.encoder, KnownQueries) else TYPICAL:
            models.encode([text])
        query = models.encode([models.example])[0]
        videos = np.arange(min(8, len(models.features)), dtype=np.int32)
        durations = models.features.durations[videos]
        spans = np.stack([np.zeros_like(durations), np.minimum(durations, 8.0)], axis=1)
        ranks, scores = np.arange(len(videos), dtype=np.int32), np.zeros(len(videos), np.float32)
        self.rank(RankQuery.of(query, Proposals(videos, spans, ranks, scores)))
