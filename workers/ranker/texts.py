"""Text encoding for concurrent callers: LRU cache, one computation a sentence, batches, deadlines."""

import asyncio
import threading
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from cachetools import LRUCache

from engine import metrics
from engine.errors import DeadlineExceeded, InvalidInput
from engine.queries import LONGEST_TEXT
from engine.types import EncodedQuery, Floats
from engine.words import trimmed
from workers.ranker.batching import Batcher, bounded

# For the warm-up, of the lengths that queries have: what a model does once a length, it does before serving.
TYPICAL = (
    "a dog barks",
    "a woman in a red coat opens the door of a small shop",
    "two people argue at a kitchen table while it rains outside, then the older one stands up, takes her "
    "keys and leaves without saying another word",
)


@dataclass(frozen=True, eq=False, slots=True)
class EncodedSentence:
    """What a sentence encoder makes of a text: (dim,) float32; truncated: whether its end was left out."""

    vector: Floats
    truncated: bool


Encoded = TypeVar("Encoded", bound=EncodedQuery | EncodedSentence)


@dataclass(eq=False, slots=True)
class _Flight(Generic[Encoded]):
    """A sentence that is being encoded, and how many callers wait for it."""

    result: Future[Encoded]
    waiting: int = 0


class CachedTextEncoder(Generic[Encoded]):
    """Sentences to vectors. Usable from many threads.

    Concurrent calls for one sentence share one computation; different sentences are computed in batches. An
    LRU cache keeps the `cached` last used, in at most `cached_bytes` of vectors; `name` is its name among
    the metrics.
    """

    def __init__(
        self,
        compute: Callable[[Sequence[str]], Sequence[Encoded]],
        *,
        name: str = "texts",
        max_batch: int = 16,
        max_delay: float = 0.002,
        cached: int = 1024,
        cached_bytes: int = 64 << 20,
    ) -> None:
        self._batcher: Batcher[str, Encoded] = Batcher(compute, max_batch, max_delay)
        self._cache: TextCache[Encoded] = TextCache(cached, cached_bytes)
        self._flights: dict[str, _Flight[Encoded]] = {}
        self._hit, self._miss = (metrics.bound(metrics.CACHE, name, result) for result in ("hit", "miss"))
        self._lock = threading.Lock()

    @property
    def waiting(self) -> int:
        """Texts that are not yet part of a batch."""
        return self._batcher.waiting

    def encode(self, text: str, timeout: float | None = None) -> Encoded:
        """Return a text's vectors, computed or from the cache; do not write to them.

        Raises InvalidInput for one that is empty or too long, DeadlineExceeded after `timeout` seconds,
        Overloaded where those before it would take longer.
        """
        known = self._known_or_flight(text, timeout)
        if not isinstance(known, _Flight):
            return known
        try:
            return known.result.result(bounded(timeout))
        except TimeoutError:
            self._leave(text, known)
            raise DeadlineExceeded("the deadline passed while the call waited for its text") from None

    async def soon(self, text: str, timeout: float | None = None) -> Encoded:
        """Do as `encode` for a coroutine; a text all of whose callers are cancelled is not computed."""
        known = self._known_or_flight(text, timeout)
        if not isinstance(known, _Flight):
            return known
        try:
            # Shielded: others may wait for the same result.
            return await asyncio.shield(asyncio.wrap_future(known.result))
        except asyncio.CancelledError:
            self._leave(text, known)
            raise

    def _known_or_flight(self, text: str, timeout: float | None) -> Encoded | _Flight[Encoded]:
        check(text)
        with self._lock:
            known = self._cache.get(text)
            (self._miss if known is None else self._hit).inc()
            if known is not None:
                return known
            flight = self._flights.get(text)
            first = flight is None
            if flight is None:
                flight = self._flights[text] = _Flight(self._batcher.submit(text, timeout))
            flight.waiting += 1
        if first:
            # Outside the lock: if the result is there already, the callback runs right here.
            # Weak: a future keeps its callbacks, and would keep the encoder in a cycle.
            flight.result.add_done_callback(partial(_land, weakref.ref(self), text))
        return flight

    def _keep(self, text: str, result: "Future[Encoded]") -> None:
        with self._lock:
            flight = self._flights.get(text)
            if flight is not None and flight.result is result:
                del self._flights[text]
            if not result.cancelled() and result.exception() is None:
                self._cache[text] = result.result()

    def _leave(self, text: str, flight: _Flight[Encoded]) -> None:
        """Stop waiting; cancel the computation if this was the last caller."""
        with self._lock:
            flight.waiting -= 1
            abandoned = flight.waiting == 0 and self._flights.get(text) is flight
            if abandoned:
                del self._flights[text]
        if abandoned:
            flight.result.cancel()


def _land(encoder: "weakref.ref[CachedTextEncoder[Encoded]]", text: str, result: "Future[Encoded]") -> None:
    there = encoder()
    if there is not None:
        there._keep(text, result)


class TextCache(LRUCache[str, Encoded]):
    """LRU cache of at most `texts` texts and `most_bytes` of their vectors. Not locked."""

    def __init__(self, texts: int, most_bytes: int) -> None:
        super().__init__(most_bytes, getsizeof=_bytes_of)
        self._texts = texts

    def __setitem__(self, text: str, encoded: Encoded) -> None:
        """Keep a text, unless it alone is larger than the cache; drop the least recently used for it."""
        if _bytes_of(encoded) > self.maxsize:
            return
        super().__setitem__(text, encoded)
        while len(self) > self._texts:
            self.popitem()


def check(text: str) -> None:
    """Raise InvalidInput for a text that is empty or too long."""
    if not trimmed(text):
        raise InvalidInput("The query is empty; write at least one word.", "QUERY_EMPTY", "text")
    if len(text) > LONGEST_TEXT:
        message = f"The query has {len(text)} characters; write at most {LONGEST_TEXT}."
        raise InvalidInput(message, "QUERY_TOO_LARGE", "text")


def _bytes_of(encoded: EncodedQuery | EncodedSentence) -> int:
    if isinstance(encoded, EncodedSentence):
        return encoded.vector.nbytes
    arrays = (encoded.embedding, encoded.token_states, encoded.text_embedding)
    return sum(array.nbytes for array in arrays)
