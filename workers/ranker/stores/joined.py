"""Rows of several parts as one array, and where in it the videos of a version lie.

A global row number is the part's base, the rows of all parts before it, and the row inside the part. Nothing
is copied: the arrays are the parts' own maps, shared by all versions that list the part.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import Mismatch
from engine.types import Ordinals

Counts = NDArray[np.int64]


class JoinedRows:
    """Arrays (n_i, ...) of one dtype and width, read as one (sum n_i, ...). Read-only."""

    def __init__(self, arrays: Sequence[NDArray[Any]]) -> None:
        """Join at least one array; Mismatch where they differ in width or dtype."""
        kinds = {(array.dtype, array.shape[1:]) for array in arrays}
        if len(kinds) != 1:
            found = " and ".join(sorted(f"{dtype} {width}" for dtype, width in kinds))
            raise Mismatch(f"rows of {found} cannot be read as one; run `spr build` again")
        self.arrays = tuple(arrays)
        self.bases = bases_of(arrays)
        self.dtype = arrays[0].dtype
        self.shape: tuple[int, ...] = (int(self.bases[-1]), *arrays[0].shape[1:])

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: NDArray[np.int64] | slice) -> NDArray[Any]:
        """Return rows by number, or a range of them: a view where they lie in one part."""
        if isinstance(key, slice):
            begin, end, step = key.indices(len(self))
            part = int(self.owners(np.array(begin)))
            base = int(self.bases[part])
            if step == 1 and end <= self.bases[part + 1]:
                return self.arrays[part][begin - base : max(begin, end) - base]
            key = np.arange(begin, end, step)
        owners = self.owners(key)
        found = np.empty((*key.shape, *self.shape[1:]), self.dtype)
        for part in np.unique(owners):
            mine = owners == part
            found[mine] = self.arrays[part][key[mine] - self.bases[part]]
        return found

    def owners(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the part of each row number; of the end, the last part."""
        return owners(self.bases, rows)


AnyRows = NDArray[Any] | JoinedRows


def joined(arrays: Sequence[NDArray[Any]]) -> AnyRows:
    """Return arrays as one: a single one as it is."""
    return arrays[0] if len(arrays) == 1 else JoinedRows(arrays)


def arrays_of(rows: AnyRows) -> tuple[NDArray[Any], ...]:
    """Return the arrays that rows are made of."""
    return rows.arrays if isinstance(rows, JoinedRows) else (rows,)


def bases_of(arrays: Iterable[NDArray[Any]]) -> Counts:
    """Return the first global row of each array, and the end: (n + 1,)."""
    return offsets_of([len(array) for array in arrays])


def owners(bases: Counts, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the part of each global row; bases: (parts + 1,). A row at the end counts to the last part."""
    found = np.searchsorted(bases[1:], rows, side="right")
    return np.asarray(np.minimum(found, len(bases) - 2))


def offsets_of(counts: Sequence[int] | Counts) -> Counts:
    """Return where each of consecutive blocks begins, and the end: (n + 1,)."""
    offsets = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=offsets[1:])
    return offsets


def by_ordinal(
    columns: Sequence[NDArray[Any]], ordinals: Sequence[Ordinals], videos: int | None = None
) -> NDArray[Any]:
    """Return a column over a version's living videos, from those of its parts, (videos of the part,) each.

    ordinals: of each part, as `PartOfVersion` has them. videos: of the version, where the parts are not all
    of its parts: others have 0. Mismatch where a part has not as many videos.
    """
    living = sum(int((places >= 0).sum()) for places in ordinals) if videos is None else videos
    found = np.zeros(living, columns[0].dtype if columns else np.float64)
    for column, places in zip(columns, ordinals, strict=True):
        if len(column) != len(places):
            message = f"a part has features of {len(column)} videos and lists {len(places)}"
            raise Mismatch(f"{message}; copy the part again, or run `spr build`")
        alive = places >= 0
        found[places[alive]] = column[alive]
    return found


def places(
    starts: Sequence[Counts],
    counts: Sequence[Counts],
    bases: Counts,
    ordinals: Sequence[Ordinals],
    videos: int | None = None,
) -> tuple[Counts, Counts]:
    """Return the first global row and the number of rows of a version's living videos, (videos,) each.

    starts, counts: of each part's videos, inside the part. bases: of the parts; see `bases_of`. videos: as
    in `by_ordinal`.
    """
    shifted = [begin + base for begin, base in zip(starts, bases[:-1], strict=True)]
    first, number = (by_ordinal(columns, ordinals, videos) for columns in (shifted, counts))
    return first.astype(np.int64), number.astype(np.int64)
