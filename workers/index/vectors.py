"""The vectors of a part as they were added, for parts that are made of it."""

from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from engine.entries import refuse
from engine.types import Floats
from workers.index.part import IndexPart
from workers.index.training import reason

_python: Any = faiss  # its stubs lack DirectMap


def vectors_of(part: IndexPart, rows: NDArray[np.integer[Any]] | None = None) -> Floats:
    """Return vectors (n, dim) of some rows of a part, of all for None, in that order.

    They come from the originals where there are any, else from the index: flat vectors are what was added,
    bit by bit; half-precision ones are rounded once, and to the same again when added to their like; codes
    are decoded. Mismatch for codes that cannot be decoded.
    """
    index = part.index
    if isinstance(index, faiss.IndexRefine):
        index = faiss.downcast_index(index.refine_index)
    wanted = np.arange(len(part)) if rows is None else rows
    lists = faiss.try_extract_index_ivf(index)
    try:
        if lists is not None and lists.direct_map.type == _python.DirectMap.NoMap:
            lists.make_direct_map()
        vectors: Floats = index.reconstruct_batch(np.ascontiguousarray(wanted, np.int64))
    except RuntimeError as error:
        raise refuse(
            f"the codes of this index cannot be decoded ({reason(error)}): run `spr build`."
        ) from None
    return vectors


class Vectors:
    """The vectors of a part, read as they are asked for: all of them may not fit into memory."""

    def __init__(self, part: IndexPart) -> None:
        self._part = part

    def __len__(self) -> int:
        return len(self._part)

    def __getitem__(self, rows: Any) -> Floats:
        return vectors_of(self._part, np.arange(len(self))[rows])
