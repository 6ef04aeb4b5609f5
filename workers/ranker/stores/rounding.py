"""How contexts are stored: unit vectors as float16, or as whole numbers with one scale a row.

int8: every number between -127 and 127. int5: the vector is rotated first, so that no number stands out, then
every number lies between -15 and 15, and three share an int16. The rotation is fixed (signs, then Hadamard
matrices on blocks; as in QuIP and RaBitQ) and keeps dot products: queries are rotated, rows never back.

A number of int5 is read by a shift alone, as the upper bits of an int16 in units of 1 / 2048. The bits below
it are those of the numbers that lie lower in the word; rounding reckons with them, as a fraction.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from engine.types import Floats

ContextType = Literal["float16", "int8", "int5"]
# Of each type, what encoded.json says its format is: release 0.1 reads the first.
FORMATS: dict[str, int] = {"float16": 1, "int8": 1, "int5": 2}

_LARGEST = {"int8": 127, "int5": 15}
# Of the numbers of an int16: the shift that reads one, its lowest bit, and its bits.
_NUMBERS = ((11, 0, 5), (6, 5, 5), (0, 10, 6))
_UNIT = np.float32(1 / 2048)


def element(dtype: ContextType) -> np.dtype[Any]:
    """Return the type of a stored element."""
    return np.dtype(np.int16 if dtype == "int5" else dtype)


def width(hidden: int, dtype: ContextType) -> int:
    """Return how many elements a stored row has."""
    return -(-hidden // len(_NUMBERS)) if dtype == "int5" else hidden


def rounded(unit: Floats, dtype: ContextType) -> tuple[NDArray[Any], NDArray[np.float16] | None]:
    """Return unit vectors (n, hidden) as stored, and their scales (n,), None where rows need none."""
    if dtype == "float16":
        return unit.astype(np.float16), None
    rows, largest = turned(unit) if dtype == "int5" else unit, _LARGEST[dtype]
    scales = (np.abs(rows).max(1, initial=0.0) / largest).astype(np.float16)
    scaled = rows / np.maximum(scales.astype(np.float32), 1e-8)[:, None]
    if dtype == "int5":
        return _packed(scaled), scales
    return np.clip(np.rint(scaled), -largest, largest).astype(np.int8), scales


def restored(rows: NDArray[Any], scales: NDArray[np.float16] | None, hidden: int) -> Floats:
    """Return stored rows (n, width) as unit vectors (n, hidden)."""
    packed = rows.dtype == np.int16
    found: Floats = rows.astype(np.float32)
    if packed:
        found = np.concatenate(unpacked(rows), axis=1)[:, :hidden] * _UNIT
    if scales is not None:
        found *= scales.astype(np.float32)[:, None]
    return _hadamard(found) * _signs(hidden) if packed else found


def asked(columns: Sequence[Floats], dtype: ContextType) -> Sequence[Floats]:
    """Return vectors, (q, hidden) each, as they meet stored rows: for int5 turned, padded and scaled."""
    if dtype != "int5":
        return columns
    vectors = np.stack(columns)
    hidden = vectors.shape[-1]
    padded = np.zeros((*vectors.shape[:-1], len(_NUMBERS) * width(hidden, dtype)), np.float32)
    padded[..., :hidden] = turned(vectors.reshape(-1, hidden)).reshape(vectors.shape) * _UNIT
    return list(padded)


def turned(vectors: Floats) -> Floats:
    """Return vectors (n, hidden) rotated: lengths and dot products stay, outliers are spread."""
    return _hadamard(vectors * _signs(vectors.shape[1]))


def unpacked(words: Any) -> tuple[Any, ...]:
    """Return the thirds of int16 rows (..., width), of numpy or torch: word i has numbers i of each third."""
    return tuple(words << shift for shift, _, _ in _NUMBERS)


def _packed(scaled: Floats) -> NDArray[np.int16]:
    n, hidden = scaled.shape
    wide = width(hidden, "int5")
    thirds = np.zeros((n, len(_NUMBERS) * wide), np.float32)
    thirds[:, :hidden] = scaled
    words = np.zeros((n, wide), np.int16)
    for third, (shift, lowest, bits) in zip(np.split(thirds, len(_NUMBERS), axis=1), _NUMBERS, strict=True):
        rest = (third - (words << shift) * _UNIT) / (_UNIT * (1 << (lowest + shift)))
        most = 1 << (bits - 1)
        code = np.clip(np.rint(rest), -most, most - 1).astype(np.int16)
        words |= (code & (2 * most - 1)) << lowest
    return words


def _hadamard(vectors: Floats) -> Floats:
    """Multiply each block of numbers by an orthonormal matrix that is its own inverse.

    By additions alone, so that a vector comes out the same to the bit whatever is turned beside it.
    """
    n, hidden = vectors.shape
    block, half = hidden & -hidden, 1
    while half < block:
        pairs = vectors.reshape(n, hidden // (2 * half), 2, half)
        one, other = pairs[:, :, 0], pairs[:, :, 1]
        vectors, half = np.stack([one + other, one - other], axis=2), 2 * half
    found: Floats = vectors.reshape(n, hidden) / np.sqrt(np.float32(block))
    return found


@cache
def _signs(hidden: int) -> Floats:
    # The raw stream of PCG64 is the same in every NumPy.
    drawn = np.random.PCG64(0).random_raw(hidden)
    return np.where(drawn >> np.uint64(63), -1, 1).astype(np.float32)
