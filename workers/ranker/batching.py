"""Dynamic batching: one thread gathers concurrent calls, computes them together, hands each its own."""

import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Generic, TypeVar

from engine.errors import DeadlineExceeded

LONGEST_WAIT = 600.0

In = TypeVar("In")
Out = TypeVar("Out")


class Batcher(Generic[In, Out]):
    """Calls `compute` with up to `max_batch` items that wait at the same time.

    A lone item is a batch of its own, without delay. If several wait, the batch is filled for up to
    `max_delay` seconds: callers then come faster than they are served, and a fuller batch helps all.
    compute: items -> one result an item, in order; what it raises, every caller of the batch gets.
    """

    def __init__(
        self, compute: Callable[[Sequence[In]], Sequence[Out]], max_batch: int, max_delay: float
    ) -> None:
        self._compute = compute
        self._max_batch = max(1, max_batch)
        self._max_delay = max_delay
        self._waiting: queue.SimpleQueue[tuple[In, Future[Out]]] = queue.SimpleQueue()
        threading.Thread(target=self._run, name="batcher", daemon=True).start()

    def __call__(self, item: In, timeout: float | None = None) -> Out:
        """Return the result for `item`; DeadlineExceeded when it takes longer than `timeout` seconds."""
        future = self.submit(item)
        try:
            return future.result(bounded(timeout))
        except TimeoutError:
            future.cancel()
            raise DeadlineExceeded("the deadline passed while the call waited for its batch") from None

    def submit(self, item: In) -> "Future[Out]":
        """Queue `item` and return its future; cancel that if the result is no longer needed."""
        future: Future[Out] = Future()
        self._waiting.put((item, future))
        return future

    @property
    def waiting(self) -> int:
        """Calls that are not yet part of a batch."""
        return self._waiting.qsize()

    def _run(self) -> None:
        while True:
            batch = [
                (item, future) for item, future in self._gather() if future.set_running_or_notify_cancel()
            ]
            if not batch:
                continue
            try:
                results = self._compute([item for item, _ in batch])
                for (_, future), result in zip(batch, results, strict=True):
                    future.set_result(result)
            except Exception as error:
                for _, future in batch:
                    if not future.done():
                        future.set_exception(error)

    def _gather(self) -> list[tuple[In, Future[Out]]]:
        batch = [self._waiting.get()]
        if self._waiting.empty():
            return batch
        closes = time.monotonic() + self._max_delay
        while len(batch) < self._max_batch:
            try:
                batch.append(self._waiting.get(timeout=max(0.0, closes - time.monotonic())))
            except queue.Empty:
                break
        return batch


def bounded(timeout: float | None) -> float:
    """Return seconds to wait; without a deadline gRPC says centuries, which no lock takes."""
    return LONGEST_WAIT if timeout is None else min(max(0.0, timeout), LONGEST_WAIT)
