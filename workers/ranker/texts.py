"""From concurrent callers' sentences to vectors: a memory, one computation a sentence, batches, deadlines."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial

from engine.errors import DeadlineExceeded, InvalidInput
from engine.queries import LONGEST_TEXT
from engine.types import EncodedQuery
from workers.ranker.batching import Batcher

LONGEST_WAIT = 600.0
# Of the lengths that queries have: what a model does only once a length happens before the first caller.
TYPICAL = (
    "a dog barks",
    "a woman in a red coat opens the door of a small shop",
    "two people argue at a kitchen table while it rains outside, then the older one stands up, takes her "
    "keys and leaves without saying another word",
)


@dataclass(eq=False, slots=True)
class _Flight:
    """A sentence that is being encoded, and how many callers wait for it."""

    result: Future[EncodedQuery]
    waiting: int = 0


class Texts:
    """Sentences to vectors. Usable from many threads.

    A sentence is computed once however many ask for it at the same time, different ones together, and what
    was computed is remembered: the `cached` last used, in at most `cached_bytes` of vectors.
    """

    def __init__(
        self,
        compute: Callable[[Sequence[str]], Sequence[EncodedQuery]],
        *,
        max_batch: int = 16,
        max_delay: float = 0.002,
        cached: int = 1024,
        cached_bytes: int = 64 << 20,
    ) -> None:
        self._batcher = Batcher(compute, max_batch, max_delay)
        self._memory = Memory(cached, cached_bytes)
        self._flights: dict[str, _Flight] = {}
        self._lock = threading.Lock()

    def encode(self, text: str, timeout: float | None = None) -> EncodedQuery:
        """Return a text's vectors, computed or remembered; do not write to them.

        Raises InvalidInput for one that is empty or too long, DeadlineExceeded after `timeout` seconds.
        """
        check(text)
        with self._lock:
            known = self._memory.get(text)
            if known is not None:
                return known
            flight = self._flights.get(text)
            first = flight is None
            if flight is None:
                flight = self._flights[text] = _Flight(self._batcher.submit(text))
            flight.waiting += 1
        if first:
            # Outside the lock: it runs at once if the result is there by now.
            flight.result.add_done_callback(partial(self._land, text, flight))
        try:
            return flight.result.result(bounded(timeout))
        except TimeoutError:
            self._leave(text, flight)
            raise DeadlineExceeded("the deadline passed while the call waited for its text") from None

    def _land(self, text: str, flight: _Flight, result: "Future[EncodedQuery]") -> None:
        with self._lock:
            if self._flights.get(text) is flight:
                del self._flights[text]
            if not result.cancelled() and result.exception() is None:
                self._memory.put(text, result.result())

    def _leave(self, text: str, flight: _Flight) -> None:
        """Give up waiting; what nobody waits for any more is not computed."""
        with self._lock:
            flight.waiting -= 1
            abandoned = flight.waiting == 0 and self._flights.get(text) is flight
            if abandoned:
                del self._flights[text]
        if abandoned:
            flight.result.cancel()


class Memory:
    """The texts used last, at most `limit` of them and `limit_bytes` of their vectors. Not locked."""

    def __init__(self, limit: int, limit_bytes: int) -> None:
        self._limit, self._limit_bytes = limit, limit_bytes
        self._known: OrderedDict[str, EncodedQuery] = OrderedDict()
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._known)

    def get(self, text: str) -> EncodedQuery | None:
        """Return what is known of a text, and keep it longer for that."""
        found = self._known.get(text)
        if found is not None:
            self._known.move_to_end(text)
        return found

    def put(self, text: str, encoded: EncodedQuery) -> None:
        """Remember a text, and forget what was unused longest where there is no room."""
        if (replaced := self._known.pop(text, None)) is not None:
            self.bytes -= _bytes_of(replaced)
        self._known[text] = encoded
        self.bytes += _bytes_of(encoded)
        while self._known and (len(self._known) > self._limit or self.bytes > self._limit_bytes):
            self.bytes -= _bytes_of(self._known.popitem(last=False)[1])


def check(text: str) -> None:
    """Raise InvalidInput for a text that is empty or too long."""
    if not text.strip():
        raise InvalidInput("The query is empty; write at least one word.", "QUERY_EMPTY", "text")
    if len(text) > LONGEST_TEXT:
        message = f"The query has {len(text)} characters; write at most {LONGEST_TEXT}."
        raise InvalidInput(message, "QUERY_TOO_LARGE", "text")


def bounded(timeout: float | None) -> float:
    """Return seconds to wait; without a deadline gRPC says centuries, which no lock takes."""
    return LONGEST_WAIT if timeout is None else min(max(0.0, timeout), LONGEST_WAIT)


def _bytes_of(encoded: EncodedQuery) -> int:
    arrays = (encoded.embedding, encoded.token_states, encoded.text_embedding)
    return sum(array.nbytes for array in arrays)
