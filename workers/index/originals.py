"""Originals by which candidates are scored anew: mapped ones, and those of a large part, read row by row.

Pages of a map that were touched are the process's memory, with their neighbours: a thousand rows here and
there make a gigabyte. So a large part's are read by `preadv`, which leaves them in the page cache, and a
search waits for the disk once: rows that are not cached are asked for together.
"""

import abc
import os
import threading
import weakref
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from engine.errors import Mismatch
from engine.types import Floats
from workers.index.living import Found
from workers.index.parameters import inverted_lists

# Files up to here are mapped, and read before the part is ready: a row of a map costs a fifth.
LARGE = 1 << 30
# Rows that are in memory at once.
BLOCK = 16_384

_python: Any = faiss  # its stubs lack what its Python part adds


def large(index: Any, path: Path) -> "Filed | None":
    """Return how to read the originals in `path` of an index, None where they are to be mapped."""
    if not isinstance(index, faiss.IndexRefine) or inverted_lists(index) is None:
        return None
    originals: Any = faiss.downcast_index(index.refine_index)
    half = isinstance(originals, faiss.IndexScalarQuantizer)
    if not half or originals.ntotal * originals.sa_code_size() <= LARGE:
        return None
    return Filed(path, originals)


class Originals(abc.ABC):
    """Scores rows as the index of all originals does, to the last bit. Thread-safe."""

    def __init__(self, index: Any) -> None:
        """index: of all originals, a faiss.IndexScalarQuantizer."""
        self._width = int(index.code_size)
        self._made = (index.d, index.sq.qtype, index.metric_type)
        self._own = threading.local()

    @abc.abstractmethod
    def _read(self, rows: NDArray[np.int64], out: NDArray[np.uint8]) -> None:
        """Read the codes of rows into `out`, (n, width)."""

    def best(self, queries: Floats, rows: NDArray[np.int64], k: int) -> Found:
        """Return the `k` best of each query's rows, (nq, k), -1 where there are fewer.

        rows: (nq, n), -1 for none. OSError or Mismatch for a file that cannot be read.
        """
        found = [self._best(query[None], one[one >= 0], k) for query, one in zip(queries, rows, strict=True)]
        return np.stack([scores for scores, _ in found]), np.stack([places for _, places in found])

    def scores(self, query: Floats, rows: NDArray[np.int64]) -> Floats:
        """Return the scores of rows, (n,), as they come, -inf for one that is no number; query: (1, dim).

        Errors are `best`'s.
        """
        found = np.full(len(rows), -np.inf, np.float32)
        scores, within = self._held(rows).search(query, len(rows))
        kept = within[0] >= 0
        found[within[0, kept]] = scores[0, kept]
        return found

    def _best(self, query: Floats, rows: NDArray[np.int64], k: int) -> Found:
        if k <= len(rows) <= BLOCK:
            scores, within = self._held(rows).search(query, k)
            # FAISS leaves out what is no number.
            if within[0, -1] >= 0:
                return scores[0], rows[within[0]]
        best, places = np.zeros(0, np.float32), np.zeros(0, np.int64)
        for start in range(0, max(1, len(rows)), BLOCK):
            block = rows[start : start + BLOCK]
            scores, within = self._held(block).search(query, k)
            scores, within = scores[0], within[0]
            best = np.concatenate([best, scores[within >= 0]])
            places = np.concatenate([places, block[within[within >= 0]]])
            order = np.lexsort((places, -best))[:k]
            best, places = best[order], places[order]
        short = k - len(places)
        return np.pad(best, (0, short)), np.pad(places, (0, short), constant_values=-1)

    def _held(self, rows: NDArray[np.int64]) -> Any:
        """Return this thread's index, of `rows` alone."""
        index = getattr(self._own, "index", None)
        if index is None:
            index = self._own.index = faiss.IndexScalarQuantizer(*self._made)
        index.codes.resize(len(rows) * self._width)
        index.ntotal = len(rows)
        if len(rows):
            self._read(rows, _codes(index, self._width))
        return index


class Mapped(Originals):
    """Those of a map, or of memory."""

    def __init__(self, index: Any) -> None:
        super().__init__(index)
        self._index, self._codes = index, _codes(index, self._width)

    def _read(self, rows: NDArray[np.int64], out: NDArray[np.uint8]) -> None:
        # Clipped rows are copied at once, others into a buffer first.
        np.take(self._codes, rows, axis=0, out=out, mode="clip")


class Filed(Originals):
    """Those of a file, of which nothing is mapped."""

    def __init__(self, path: Path, index: Any) -> None:
        """path: the index's file, which ends with the rows' codes."""
        super().__init__(index)
        self._path = path
        self._handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        weakref.finalize(self, os.close, self._handle)
        self._start = os.fstat(self._handle).st_size - index.ntotal * self._width

    def _read(self, rows: NDArray[np.int64], out: NDArray[np.uint8]) -> None:
        """Read rows one after the other; those that the disk must be asked for, together."""
        width, waiting, targets = self._width, [], memoryview(out.reshape(-1).data)
        places = self._start + rows * width
        for number, place in enumerate(places.tolist()):
            target = targets[number * width : (number + 1) * width]
            try:
                if os.preadv(self._handle, [target], place, os.RWF_NOWAIT) == width:
                    continue
            except OSError:  # not cached, or a file system that cannot tell
                os.posix_fadvise(self._handle, place, width, os.POSIX_FADV_WILLNEED)
            waiting.append((target, place))
        for target, place in waiting:
            if os.preadv(self._handle, [target], place) != width:
                message = f"{self._path} ends too early: copy it again or run `spr build`."
                raise Mismatch(message, reason="GENERATION_CORRUPT")


def _codes(index: Any, width: int) -> NDArray[np.uint8]:
    """Return an index's codes (n, width), where they lie."""
    codes: NDArray[np.uint8] = _python.rev_swig_ptr(index.codes.data(), index.codes.size())
    return codes.reshape(-1, width)
