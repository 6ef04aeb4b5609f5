"""The rows of a part that may be found: searches leave out the others, and still fill their top k.

Others are those that were deleted, and those that a filter leaves out.
"""

import math
from collections.abc import Callable
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from engine.types import Floats
from workers.index.factory import FLAT_VALUES
from workers.index.parameters import search_parameters

Found = tuple[Floats, NDArray[np.int64]]
_python: Any = faiss  # its stubs know only what C++ takes


# So many values of rows that a filter lets through are compared one by one: that takes as long as an index
# that finds candidates takes for any filter. Measured: docs/experiments/2026-11-filters.md.
EXACT_VALUES = FLAT_VALUES


class Living:
    """Which rows (n,) of an index live. filtered: they are those that a filter lets through."""

    def __init__(self, rows: NDArray[np.bool_], filtered: bool = False) -> None:
        self.rows, self.filtered = rows, filtered
        self.count = int(rows.sum())
        self.selector: Any = _python.IDSelectorBitmap(np.packbits(rows, bitorder="little"))

    def few(self, dim: int) -> bool:
        """Whether the rows, of width `dim`, are those of a filter, and quickly compared one by one."""
        return self.filtered and self.count * dim <= EXACT_VALUES


def exhaustive(index: Any) -> Any:
    """Return the index inside `index` that scores every row as well as it can, None for `index` itself.

    The originals of codes, and the vectors of a graph's nodes.
    """
    index = faiss.downcast_index(index)
    if isinstance(index, faiss.IndexRefine):
        return faiss.downcast_index(index.refine_index)
    if isinstance(index, faiss.IndexHNSW | faiss.IndexNSG):
        graph: Any = index  # the stubs know no vectors of some graphs
        return faiss.downcast_index(graph.storage)
    return None


def selects(index: Any) -> bool:
    """Tell whether searches of this kind of index take a selector and fill their top k by it.

    Flat vectors, scalar quantizers, inverted lists and what is made of them do. RaBitQ and PQ fast-scan
    without lists, PQ and NSG refuse one. HNSW takes one, but looks at no more nodes because of it.
    """
    if index.ntotal == 0 or _is_graph(index):
        return False
    nothing = Living(np.zeros(index.ntotal, np.bool_))
    query = np.zeros((1, index.d), np.float32)
    query[0, 0] = 1
    try:
        parameters = search_parameters(index, 0, 1.0, nothing.selector)
        _, rows = index.search(query, 1, params=parameters)
    except RuntimeError:
        return False
    return bool((rows < 0).all())


def over_fetched(search: Callable[[int, int], Found], living: Living, k: int, candidates: int) -> Found:
    """Return the best `k` living rows of each query, (nq, k) each, -1 where there are fewer.

    search: returns the best rows, (nq, fetch), of fetch rows and so many candidates; called with more until
    k of them live or there are no more. candidates: as if nothing were deleted.
    """
    total = len(living.rows)
    share = total / max(1, living.count)
    # A tenth more than the share says: a second search costs far more than a few rows.
    fetch, depth = min(total, math.ceil(1.1 * k * share) + 16), math.ceil(candidates * share)
    while True:
        scores, rows = search(fetch, max(fetch, min(total, depth)))
        alive = (rows >= 0) & living.rows[rows]
        if fetch == total or (alive.sum(axis=1) >= k).all():
            break
        fetch, depth = min(total, 2 * fetch), 2 * depth
    first = np.argsort(~alive, axis=1, kind="stable")[:, :k]
    rows = np.where(np.take_along_axis(alive, first, 1), np.take_along_axis(rows, first, 1), -1)
    return np.take_along_axis(scores, first, 1), rows


def _is_graph(index: Any) -> bool:
    index = faiss.downcast_index(index)
    if isinstance(index, faiss.IndexRefine):
        return _is_graph(index.base_index)
    if isinstance(index, faiss.IndexPreTransform):
        return _is_graph(index.index)
    return isinstance(index, faiss.IndexHNSW)
