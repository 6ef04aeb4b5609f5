"""Edit distances of one word to many at once: `engine.words.edits`, which is its oracle, for arrays."""

import numpy as np
from numpy.typing import NDArray

_Bits = NDArray[np.uint64]


def distances(word: str, letters: NDArray[np.uint32], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return by how many edits each of (n,) words differs, all in all.

    word: at most 64 letters. letters: (n, width) code points, 0 behind a word's end. lengths: (n,).

    A column of the table of distances is a bit a letter of `word`, one for what is more than above it and one
    for what is less (Hyyrö, A Bit-Vector Algorithm for Computing Levenshtein and Damerau Edit Distances,
    2003, with adjacent letters swapped).
    """
    masks = _masks(word, letters)
    one, last = np.uint64(1), np.uint64(len(word) - 1)
    more = np.full(len(letters), ~np.uint64(0))
    less, same, before = np.zeros_like(more), np.zeros_like(more), np.zeros_like(more)
    found = np.full(len(letters), len(word))
    for at, here in enumerate(masks.T):
        swapped = ((~same & here) << one) & before
        same = (((here & more) + more) ^ more) | here | less | swapped
        right, left = less | ~(same | more), same & more
        change = (right >> last & one).astype(np.int64) - (left >> last & one).astype(np.int64)
        found += np.where(at < lengths, change, 0)
        right, left = (right << one) | one, left << one
        more, less, before = left | ~(same | right), right & same, here
    return found


def _masks(word: str, letters: NDArray[np.uint32]) -> _Bits:
    """Return for each letter the places of `word` that have it, as bits."""
    places: dict[int, int] = {}
    for at, letter in enumerate(word):
        places[ord(letter)] = places.get(ord(letter), 0) | 1 << at
    known = np.array(sorted(places), np.uint32)
    bits = np.array([places[code] for code in known.tolist()], np.uint64)
    found = np.minimum(np.searchsorted(known, letters), len(known) - 1)
    masks: _Bits = np.where(known[found] == letters, bits[found], np.uint64(0))
    return masks
