"""What stands between concurrent calls and the models: batches and deadlines; texts have texts.py."""

import numpy as np

from engine.types import Doubles, EncodedQuery, Floats, Ordinals
from workers.ranker.batching import Batcher
from workers.ranker.encoder.known_queries import KnownQueries
from workers.ranker.models import Asked, Models
from workers.ranker.scoring.decode import RankedColumns
from workers.ranker.texts import TYPICAL, Texts, bounded


class Scorer:
    """Models behind two queues: concurrent texts are encoded together, and so are queries ranked."""

    def __init__(
        self,
        models: Models,
        *,
        max_batch: int = 16,
        max_delay: float = 0.002,
        cached: int = 1024,
        cached_bytes: int = 64 << 20,
    ) -> None:
        """See `Texts` for max_batch, max_delay, cached and cached_bytes."""
        self.models = models
        # Windows that are encoded anew take a second a query: together, all would wait for the last.
        self._rank = Batcher(models.rank_many, max_batch if models.is_stored else 1, max_delay)
        self._texts = Texts(
            self.models.encode,
            max_batch=max_batch,
            max_delay=max_delay,
            cached=cached,
            cached_bytes=cached_bytes,
        )

    def encode(self, text: str, timeout: float | None = None) -> EncodedQuery:
        """Return a text's vectors, computed or remembered; see `Texts.encode`."""
        return self._texts.encode(text, timeout)

    def rank(
        self,
        tokens: Floats,
        text_embedding: Floats,
        videos: Ordinals,
        spans: Doubles,
        scores: Floats,
        timeout: float | None = None,
    ) -> RankedColumns:
        """Rank one query's proposals, with others that wait; DeadlineExceeded after `timeout` seconds."""
        return self._rank(Asked(tokens, text_embedding, videos, spans, scores), bounded(timeout))

    def warm_up(self) -> None:
        """Run every model once, so that the first caller does not wait for what happens only once."""
        known = isinstance(self.models.encoder, KnownQueries)
        self.models.warm_up()
        for text in () if known else TYPICAL:
            self.models.encode([text])
        query = self.models.encode([self.models.example])[0]
        videos = np.arange(min(8, len(self.models.contexts)), dtype=np.int32)
        durations = self.models.contexts.durations[videos]
        spans = np.stack([np.zeros_like(durations), np.minimum(durations, 8.0)], axis=1)
        self.rank(query.token_states, query.text_embedding, videos, spans, np.zeros(len(videos), np.float32))
