"""Inverted lists of RaBitQ codes, searched where they lie: Python's side of `compiled`.

FAISS searches a number of lists for a number of rows. Here lists are searched a few at a time, so that what
the first ones hold tells which others are worth it, and what is too low for a hit is left out at once.
"""

import math
from typing import Any, NamedTuple

import faiss
import numpy as np
from numpy.typing import NDArray

from engine.types import Floats
from workers.index.compiled import NUMBERS, QUERY_BITS, scan

Rows = NDArray[np.int64]
_ALL = np.zeros(0, np.bool_)
_python: Any = faiss  # its stubs lack what its Python part adds


class Estimates(NamedTuple):
    """Estimated inner products of rows with a query. places: of their lists among those that are asked."""

    products: Floats
    rows: Rows
    places: NDArray[np.int32]

    def best(self, count: int) -> "Estimates":
        """Return the largest `count` of at least as many, in no order."""
        order = np.argpartition(self.products, len(self.products) - count)[len(self.products) - count :]
        return Estimates(self.products[order], self.rows[order], self.places[order])


class Lists:
    """The codes of a faiss.IndexIVFRaBitQ. Thread-safe."""

    def __init__(self, index: Any) -> None:
        # It owns what is read.
        self._index = index
        lists: Any = index.invlists
        flat: Any = faiss.downcast_index(index.quantizer)
        numbers = range(index.nlist)
        self._sizes = np.array([lists.list_size(number) for number in numbers], np.int64)
        held = [bool(size) for size in self._sizes]
        self._codes = _addresses(lists.get_codes, held)
        self._rows = _addresses(lists.get_ids, held)
        centroids = _python.rev_swig_ptr(flat.get_xb(), index.nlist * index.d)
        self._centroids = centroids.reshape(index.nlist, index.d)
        self._shape = (0,) * math.ceil(index.d / 64)

    def scan(
        self, query: Floats, lists: Rows, floor: float = -math.inf, living: NDArray[np.bool_] | None = None
    ) -> Estimates:
        """Return the estimates above `floor` of what is in some lists. query: (dim,) float32.

        lists: (n,) numbers, below 0 for none. living: which rows may be found, None for all.
        """
        room = int(self._sizes[lists[lists >= 0]].sum())
        products, rows = np.empty(room, np.float32), np.empty(room, np.int64)
        places = np.empty(room, np.int32)
        count = scan(
            *(self._codes, self._rows, self._sizes, self._centroids),
            # Copies: what may not be written to would be compiled for anew.
            *(np.array(query), np.array(lists), self._shape, np.float32(floor)),
            *(_ALL if living is None else living, products, rows, places),
        )
        return Estimates(products[:count], rows[:count], places[:count])


def readable(codes: Any) -> bool:
    """Tell whether a faiss.IndexIVFRaBitQ is as FAISS makes it by default, in memory or in a map."""
    lists = isinstance(faiss.downcast_InvertedLists(codes.invlists), faiss.ArrayInvertedLists)
    flat = isinstance(faiss.downcast_index(codes.quantizer), faiss.IndexFlat) and codes.by_residual
    return lists and flat and (codes.qb, codes.code_size) == (QUERY_BITS, (codes.d + 7) // 8 + NUMBERS)


def _addresses(pointer: Any, held: list[bool]) -> NDArray[np.uint64]:
    """Return where the lists lie, 0 for one that is empty."""
    return np.array([int(pointer(number)) if there else 0 for number, there in enumerate(held)], np.uint64)
