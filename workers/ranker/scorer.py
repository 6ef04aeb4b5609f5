"""What stands between concurrent calls and the models: batches, turns, a memory of texts, deadlines."""

import threading
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np

from engine.errors import DeadlineExceeded, InvalidInput
from engine.queries import LONGEST_TEXT
from engine.types import Doubles, EncodedQuery, Floats, Ordinals
from workers.ranker.batching import Batcher
from workers.ranker.decode import RankedColumns
from workers.ranker.models import Models

CACHED_TEXTS = 256
LONGEST_WAIT = 600.0


class Scorer:
    """Models behind a queue: concurrent texts are encoded together, queries are ranked one by one."""

    def __init__(self, models: Models, *, max_batch: int = 16, max_delay: float = 0.002) -> None:
        self.models = models
        self._computing = threading.Lock()
        self._encode = Batcher(self._encode_batch, max_batch, max_delay)
        self._known: OrderedDict[str, EncodedQuery] = OrderedDict()
        self._looking = threading.Lock()

    def encode(self, text: str, timeout: float | None = None) -> EncodedQuery:
        """Return a text's vectors, computed or remembered; InvalidInput for one that is empty or too long."""
        if not text.strip():
            raise InvalidInput("The query is empty; write at least one word.", reason="QUERY_EMPTY")
        if len(text) > LONGEST_TEXT:
            message = f"The query has {len(text)} characters; write at most {LONGEST_TEXT}."
            raise InvalidInput(message, reason="QUERY_TOO_LARGE")
        with self._looking:
            if text in self._known:
                self._known.move_to_end(text)
                return self._known[text]
        encoded = self._encode(text, bounded(timeout))
        with self._looking:
            self._known[text] = encoded
            while len(self._known) > CACHED_TEXTS:
                self._known.popitem(last=False)
        return encoded

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
        query = self._encode_batch([self.models.example])[0]
        videos = np.arange(min(8, len(self.models.contexts)), dtype=np.int32)
        durations = self.models.contexts.durations[videos]
        spans = np.stack([np.zeros_like(durations), np.minimum(durations, 8.0)], axis=1)
        self.rank(query.token_states, query.text_embedding, videos, spans, np.zeros(len(videos), np.float32))

    def _encode_batch(self, texts: Sequence[str]) -> list[EncodedQuery]:
        with self._computing:
            return self.models.encode(texts)


def bounded(timeout: float | None) -> float:
    """Return seconds to wait; without a deadline gRPC says centuries, which no lock takes."""
    return LONGEST_WAIT if timeout is None else min(max(0.0, timeout), LONGEST_WAIT)
