"""A sorted list of distinct words, as bytes: found by bisection, and by what they contain."""

from bisect import bisect_right
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from engine.words import edits, may_differ

Numbers = NDArray[np.int64]


# Words between two that bisection knows: it compares objects, the rest is one search of bytes.
_BLOCK = 64


class Vocabulary:
    """Words by number, in the order of their UTF-8 bytes. text: each, ended by a line feed.

    lengths: (words,) in characters.
    """

    def __init__(self, text: bytes) -> None:
        self.text = text
        self._ends = np.flatnonzero(np.frombuffer(text, np.uint8) == ord("\n"))
        self._starts = np.concatenate([np.zeros(1, np.int64), self._ends[:-1] + 1])[: len(self._ends)]
        # Of characters: UTF-8 begins each with a byte that is none of its further ones.
        begun = np.cumsum((np.frombuffer(text, np.int8) >= -64), dtype=np.int32)
        self.lengths = np.diff(begun[self._ends], prepend=0).astype(np.int64) - 1
        # Where the words that begin with each byte begin.
        self._of_head = np.searchsorted(np.frombuffer(text, np.uint8)[self._starts], np.arange(257)).tolist()
        bits = _letters(text)
        self._letters = np.bitwise_or.reduceat(bits, self._starts) if len(self) else bits
        self._firsts = [self._at(number) for number in range(0, len(self), _BLOCK)]

    @classmethod
    def of(cls, words: Iterable[str]) -> "Vocabulary":
        """Return the vocabulary of some words, none of which has a line feed."""
        return cls(b"".join(word + b"\n" for word in sorted({word.encode() for word in words})))

    def __len__(self) -> int:
        return len(self._ends)

    def find(self, word: str) -> int:
        """Return the number of a word, -1 where it is none of these."""
        wanted = word.encode()
        first = _BLOCK * (bisect_right(self._firsts, wanted) - 1)
        if first < 0:
            return -1
        if self._at(first) == wanted:
            return first
        begin, end = self._ends[first], self._ends[min(first + _BLOCK, len(self)) - 1] + 1
        place = self.text.find(b"\n" + wanted + b"\n", begin, end)
        return first + self.text.count(b"\n", begin, place + 1) if place >= 0 else -1

    def containing(self, part: str) -> Numbers:
        """Return the numbers of words that contain `part` and are not it, ascending."""
        wanted, places, place = part.encode(), list[int](), -1
        while (place := self.text.find(wanted, place + 1)) >= 0:
            places.append(place)
        numbers = np.unique(np.searchsorted(self._ends, np.array(places, np.int64)))
        return numbers[self.lengths[numbers] > len(part)]

    def alike(self, word: str) -> tuple[Numbers, Numbers]:
        """Return the numbers of the words that are nearly `word`, ascending, and by how many `edits`."""
        near = self._near(word)
        by = np.array([edits(word, self._at(number).decode()) for number in near.tolist()], np.int64)
        return near[by > 0], by[by > 0]

    def _near(self, word: str) -> Numbers:
        """Return the numbers of the words that can be nearly `word` by their letters, ascending."""
        most, wanted = may_differ(word), word.encode()
        if not most:
            return np.zeros(0, np.int64)
        begin, end = self._of_head[wanted[0]], self._of_head[wanted[0] + 1]
        letters = np.bitwise_or.reduce(_letters(wanted + b"\n"))
        theirs = self._letters[begin:end]
        # An edit removes one letter at most, and adds one.
        near = np.bitwise_count(theirs & ~letters) <= most
        near &= np.bitwise_count(letters & ~theirs) <= most
        near &= np.abs(self.lengths[begin:end] - len(word)) <= most
        numbers: Numbers = begin + np.flatnonzero(near)
        return numbers

    def words(self) -> list[str]:
        """Return all words, in order."""
        return self.text.decode().split("\n")[:-1]

    def _at(self, number: int) -> bytes:
        return self.text[self._starts[number] : self._ends[number]]


def _letters(text: bytes) -> NDArray[np.uint32]:
    """Return a bit of 32 for the last byte of each letter of a text, by its own last five, 0 for others."""
    codes = np.frombuffer(text, np.uint8)
    bits = np.uint32(1) << (codes & 31).astype(np.uint32)
    bits[:-1][codes[1:].view(np.int8) < -64] = 0
    return bits
