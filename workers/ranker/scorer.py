"""What stands between concurrent calls and the models: turns and deadlines; texts have texts.py."""

import threading
from collections.abc import Sequence

import numpy as np

from engine.errors import DeadlineExceeded
from engine.types import Doubles, EncodedQuery, Floats, Ordinals
from workers.ranker.decode import RankedColumns
from workers.ranker.known_queries import KnownQueries
from workers.ranker.models import Models
from workers.ranker.texts import TYPICAL, Texts, bounded


class Scorer:
    """Models behind a queue: concurrent texts are encoded together, queries are ranked one by one."""

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
        self._computing = threading.Lock()
        self._texts = Texts(
            self._encode_batch,
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
        """Rank one query's proposals in its turn; DeadlineExceeded if that is after `timeout` seconds."""
        if not self._computing.acquire(timeout=bounded(timeout)):
            raise DeadlineExceeded("the deadline passed while the call waited for the ranker")
        try:
            return self.models.rank(tokens, text_embedding, videos, spans, scores)
        finally:
            self._computing.release()

    def warm_up(self) -> None:
        """Run every model once, so that the first caller does not wait for what happens only once."""
        known = isinstance(self.models.encoder, KnownQueries)
        for text in () if known else TYPICAL:
            self._encode_batch([text])
        query = self._encode_batch([self.models.example])[0]
        videos = np.arange(min(8, len(self.models.contexts)), dtype=np.int32)
        durations = self.models.contexts.durations[videos]
        spans = np.stack([np.zeros_like(durations), np.minimum(durations, 8.0)], axis=1)
        self.rank(query.token_states, query.text_embedding, videos, spans, np.zeros(len(videos), np.float32))

    def _encode_batch(self, texts: Sequence[str]) -> list[EncodedQuery]:
        with self._computing:
            return self.models.encode(texts)
