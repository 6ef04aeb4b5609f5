"""Edit distances of some words to many at once: `engine.words.edits`, which is its oracle, for arrays."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_Bits = NDArray[np.uint64]
_Numbers = NDArray[np.int64]


def distances(words: Sequence[str], of: _Numbers, letters: NDArray[np.uint32], lengths: _Numbers) -> _Numbers:
    """Return by how many edits each of (n,) words differs from its own one of `words`, all in all.

    words: at most 64 letters each. of: (n,) places in `words`. letters: (n, width) code points, 0 behind a
    word's end. lengths: (n,), at least 1.

    A column of the table of distances is a bit a letter of a word, one for what is more than above it and one
    for what is less (Hyyrö, A Bit-Vector Algorithm for Computing Levenshtein and Damerau Edit Distances,
    2003, with adjacent letters swapped). All words go through one loop: a step costs as much for ten rows as
    for a thousand.
    """
    masks = _masks(words, of, letters)
    one, sizes = np.uint64(1), np.array([len(word) for word in words], np.int64)[of]
    more = np.full(len(letters), ~np.uint64(0))
    less, same, before = np.zeros_like(more), np.zeros_like(more), np.zeros_like(more)
    # Of each column what is more, and less, than in the one before it.
    rights, lefts = np.empty_like(masks), np.empty_like(masks)
    for at, here in enumerate(masks):
        swapped = ((~same & here) << one) & before
        same = (((here & more) + more) ^ more) | here | less | swapped
        rights[at] = less | ~(same | more)
        lefts[at] = same & more
        right, left = (rights[at] << one) | one, lefts[at] << one
        more, less, before = left | ~(same | right), right & same, here
    last = (sizes - 1).astype(np.uint64)
    changes = (rights >> last & one).astype(np.int64) - (lefts >> last & one).astype(np.int64)
    changes[np.arange(len(masks))[:, None] >= lengths] = 0
    found: _Numbers = sizes + changes.sum(axis=0)
    return found


def _masks(words: Sequence[str], of: _Numbers, letters: NDArray[np.uint32]) -> _Bits:
    """Return for each letter, (width, n), the places of its row's word that have it, as bits."""
    known = np.unique(np.frombuffer("".join(words).encode("utf-32-le"), "<u4"))
    numbers = {code: number for number, code in enumerate(known.tolist())}
    places = np.zeros((len(words), len(numbers) + 1), np.uint64)
    for row, word in enumerate(words):
        for at, letter in enumerate(word):
            places[row, numbers[ord(letter)]] |= np.uint64(1 << at)
    found = np.searchsorted(known, letters.T)
    found[known[np.minimum(found, len(known) - 1)] != letters.T] = len(known)
    return places[of, found]
