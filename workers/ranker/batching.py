"""Dynamic batching: one thread gathers concurrent calls, computes them together, hands each its own."""

import asyncio
import queue
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Generic, TypeAlias, TypeVar

from engine.errors import DeadlineExceeded, Overloaded

LONGEST_WAIT = 600.0
NEWEST = 0.2  # of a batch in the mean of the seconds an item takes

In = TypeVar("In")
Out = TypeVar("Out")
# None ends the thread.
_Queue: TypeAlias = "queue.SimpleQueue[tuple[In, Future[Out]] | None]"
_Batch: TypeAlias = "list[tuple[In, Future[Out]]]"


class _Pace:
    """Seconds that an item takes, the mean of the latest batches; 0 before the first."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def computed(self, items: int, seconds: float) -> None:
        measured = seconds / items
        self.seconds += (NEWEST if self.seconds else 1.0) * (measured - self.seconds)


class Batcher(Generic[In, Out]):
    """Calls `compute` with up to `max_batch` items that wait at the same time.

    A lone item is a batch of its own, without delay. If several wait, the batch is filled for up to
    `max_delay` seconds: callers then come faster than they are served, and a fuller batch helps all.
    compute: items -> one result an item, in order; what it raises, every caller of the batch gets.
    An item whose caller cannot wait as long as those before it will take is refused (Overloaded).
    """

    def __init__(
        self, compute: Callable[[Sequence[In]], Sequence[Out]], max_batch: int, max_delay: float
    ) -> None:
        self._waiting: _Queue[In, Out] = queue.SimpleQueue()
        self._pace = _Pace()
        settings = (self._waiting, compute, max(1, max_batch), max_delay, self._pace)
        threading.Thread(target=self._run, args=settings, name="batcher", daemon=True).start()
        # The thread does not hold the batcher: it ends with it.
        weakref.finalize(self, self._waiting.put, None).atexit = False

    def __call__(self, item: In, timeout: float | None = None) -> Out:
        """Return the result for `item`; DeadlineExceeded when it takes longer than `timeout` seconds."""
        future = self.submit(item, timeout)
        try:
            return future.result(bounded(timeout))
        except TimeoutError:
            future.cancel()
            raise DeadlineExceeded("the deadline passed while the call waited for its batch") from None

    async def soon(self, item: In, timeout: float | None = None) -> Out:
        """Return the result for `item` to a coroutine; if that is cancelled, the item is not computed."""
        return await asyncio.wrap_future(self.submit(item, timeout))

    def submit(self, item: In, timeout: float | None = None) -> "Future[Out]":
        """Queue `item` and return its future; cancel that if the result is no longer needed."""
        expected = self.waiting * self._pace.seconds
        if timeout is not None and expected > timeout:
            message = f"{self.waiting} calls wait, which takes {expected:.2g} s; try again"
            raise Overloaded(message, retry_after=expected)
        future: Future[Out] = Future()
        self._waiting.put((item, future))
        return future

    @property
    def waiting(self) -> int:
        """Calls that are not yet part of a batch."""
        return self._waiting.qsize()

    @staticmethod
    def _run(
        waiting: "_Queue[In, Out]",
        compute: Callable[[Sequence[In]], Sequence[Out]],
        max_batch: int,
        max_delay: float,
        pace: _Pace,
    ) -> None:
        while (batch := _gather(waiting, max_batch, max_delay)) is not None:
            began = time.monotonic()
            try:
                if batch:
                    _hand_out(batch, compute([item for item, _ in batch]))
                    pace.computed(len(batch), time.monotonic() - began)
            except Exception as error:
                for future in [future for _, future in batch if not future.done()]:
                    future.set_exception(error)
                    del future
            # While it waits, the thread holds no call: what the last one used may be dropped.
            del batch


def _hand_out(batch: "_Batch[In, Out]", results: Sequence[Out]) -> None:
    for (_, future), result in zip(batch, results, strict=True):
        future.set_result(result)


def _gather(waiting: "_Queue[In, Out]", max_batch: int, max_delay: float) -> "_Batch[In, Out] | None":
    """Return the next batch, without what was cancelled; None when the batcher is gone, with its callers."""
    first = waiting.get()
    if first is None:
        return None
    batch, closes = [first], time.monotonic() + max_delay
    while len(batch) < max_batch and not (len(batch) == 1 and waiting.empty()):
        try:
            item = waiting.get(timeout=max(0.0, closes - time.monotonic()))
        except queue.Empty:
            break
        if item is None:
            waiting.put(None)
            break
        batch.append(item)
    return [(item, future) for item, future in batch if future.set_running_or_notify_cancel()]


def bounded(timeout: float | None) -> float:
    """Return seconds to wait; without a deadline gRPC says centuries, which no lock takes."""
    return LONGEST_WAIT if timeout is None else min(max(0.0, timeout), LONGEST_WAIT)
