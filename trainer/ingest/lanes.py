"""Batches of what videos show, encoded in background threads as soon as each is full."""

from collections import deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from trainer.ingest.unfinished import Unfinished

Rows = NDArray[np.float32]
Item = TypeVar("Item")


class Lane(Generic[Item]):
    """Items in, rows out. A batch holds items of one video, always the same ones.

    Its rows are the same bytes whatever else is ingested with it and however many threads there are.
    """

    def __init__(
        self,
        pool: ThreadPoolExecutor,
        room: int,
        batch_size: int,
        encode: Callable[[Sequence[Item]], Rows],
        rows: Callable[[Sequence[Item]], int],
    ) -> None:
        """room: batches at work or waiting at a time. encode: of items, also of none; makes `rows` rows."""
        self._pool, self._room, self._batch_size = pool, room, batch_size
        self._of, self._rows = encode, rows
        self._running: deque[Future[Rows]] = deque()
        self._waiting: dict[Hashable, list[Item]] = {}
        self._batches: dict[Hashable, list[Future[Rows]]] = {}
        self._unfinished: dict[Hashable, Unfinished] = {}

    def begin(self, video: Hashable, unfinished: Unfinished) -> None:
        """Take what an earlier run has encoded of a video, and keep there what this one does."""
        self._unfinished[video] = unfinished

    def add(self, video: Hashable, item: Item) -> None:
        """Take an item; those of one video come in order. Waits while too much is under way."""
        waiting = self._waiting.setdefault(video, [])
        waiting.append(item)
        if len(waiting) == self._batch_size:
            self.submit(video)

    def submit(self, video: Hashable) -> None:
        """Encode what waits, be it nothing."""
        while len(self._running) >= self._room:
            wait([self._running.popleft()])
        batches = self._batches.setdefault(video, [])
        future = self._pool.submit(
            self._encode, self._waiting.pop(video, []), len(batches), self._unfinished.get(video)
        )
        self._running.append(future)
        batches.append(future)

    def done(self, video: Hashable) -> bool:
        """Whether `take` would not wait."""
        return all(future.done() for future in self._batches[video])

    def take(self, video: Hashable) -> Rows:
        """Return and forget the rows (n, dim) of a video that ended. Raises what the encoder raised."""
        return np.concatenate([future.result() for future in self._batches.pop(video)])

    def drop(self, video: Hashable) -> None:
        """Forget a video: it is stored, or will not be."""
        self._waiting.pop(video, None)
        for future in self._batches.pop(video, []):
            future.cancel()
        if unfinished := self._unfinished.pop(video, None):
            unfinished.remove()

    def _encode(self, items: Sequence[Item], batch: int, unfinished: Unfinished | None) -> Rows:
        if unfinished is None:
            return self._of(items)
        known = unfinished.take(batch, self._rows(items))
        if known is not None:
            return known
        rows = self._of(items)
        # A video of less than a batch is not worth a file.
        if len(items) == self._batch_size:
            unfinished.put(batch, rows)
        return rows
