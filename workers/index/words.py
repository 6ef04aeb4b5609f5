"""The word index of a part's texts: BM25 by frozen statistics, postings mapped from disk.

    words.txt      the words, a line each, sorted by their bytes
    starts.npy     int64 (words + 1,): word w owns postings [starts[w], starts[w + 1])
    rows.npy       int32 (postings,): rows that have the word, ascending
    shares.npy     uint16 (postings,): what the word gives to the row, of the most it could give

BM25 of Robertson and Zaragoza 2009, k1 1.2, b 0.75, inverse document frequency as Lucene has it. Sums are of
integers: a row's score is the same to the last bit whatever part it lies in. All postings of a query's words
are added up: at a few nanoseconds each that takes no longer than finding out what could be left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.entries import refuse
from engine.errors import NotFound
from engine.files import make_folder, sync
from engine.function_words import weak_words
from engine.types import Floats
from engine.words import MOST_SEEKING, may_differ, seeks_inside, telling, terms
from workers.index.lexicon import Statistics
from workers.index.sums import Postings, best
from workers.index.vocabulary import Numbers, Vocabulary

DIRECTORY = "words"  # of a channel's in a part
K1, B = 1.2, 0.75
# The sum of a query's products fits 32 bits, also where each of its 1000 words weighs one more.
LARGEST_SHARE = 65_535
# Of the weight of a word, that of a weak one. Chosen on val of TVR's descriptions and of a rendered world.
WEAK = 0.25
SUM_OF_WEIGHTS = 64_000

_TEXT = "words.txt"
# The other table is small, and read.
MAPPED = ("rows", "shares")
_TABLES = ("starts", *MAPPED)

Rows = NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class WordIndex:
    """Postings of the words of (n,) texts; see the module for the tables."""

    statistics: Statistics
    words: Vocabulary
    starts: NDArray[np.int64]
    rows: Rows
    shares: NDArray[np.uint16]
    size: int

    @classmethod
    def build(cls, documents: Sequence[str], statistics: Statistics) -> "WordIndex":
        """Index texts, row by row, scored by the statistics of all."""
        words, keys, lengths = _numbered(documents)
        # Once a word and row, in this order.
        pairs, counts = np.unique(keys, return_counts=True)
        numbers, rows = pairs >> 32, (pairs & 0xFFFFFFFF).astype(np.int32)
        damped = K1 * (1 - B + B * lengths / max(statistics.mean_length, 1.0))
        shares = np.rint(counts / (counts + damped[rows]) * LARGEST_SHARE)
        shares = np.maximum(shares, 1).astype(np.uint16)
        starts = np.searchsorted(numbers, np.arange(len(words) + 1))
        return cls(statistics, words, starts, rows, shares, len(documents))

    def save(self, directory: Path) -> None:
        """Write the files, synced."""
        make_folder(directory)
        (directory / _TEXT).write_bytes(self.words.text)
        sync(directory / _TEXT)
        for name in _TABLES:
            np.save(directory / f"{name}.npy", getattr(self, name))
            sync(directory / f"{name}.npy")

    @classmethod
    def open(cls, directory: Path, statistics: Statistics, size: int) -> "WordIndex":
        """Map the files of `size` texts; NotFound for a missing one, Mismatch for a damaged one."""
        try:
            words = Vocabulary((directory / _TEXT).read_bytes())
            tables = {"starts": np.load(directory / "starts.npy")}
            tables |= {name: np.load(directory / f"{name}.npy", mmap_mode="r") for name in MAPPED}
        except FileNotFoundError as error:
            raise NotFound(f"{error.filename} does not exist: copy it again or run `spr build`.") from None
        except (OSError, ValueError) as error:
            raise refuse(f"{directory} cannot be read ({error}): copy it again or run `spr build`.") from None
        # `np.memmap` costs microseconds for every slice that it makes.
        found = cls(
            statistics, words, **{name: table.view(np.ndarray) for name, table in tables.items()}, size=size
        )
        found._check(directory)
        return found

    def __len__(self) -> int:
        return self.size

    def search(
        self, query: str, k: int, living: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.int64], Floats]:
        """Return the best `k` rows that have a word of the query, and their scores: 0..1, the share found.

        living: (n,) the rows that may be found, None for all. Equal scores are in order of rows. Function
        words and words that more than a fifth of all texts have are left out where there are others; weak
        words (`engine.function_words`) count a quarter. A word with a digit, and one that no text of the
        statistics has, also finds words that contain it, by the share of their length; a word also finds
        those that are nearly it (`engine.words.edits`), by the share of its letters that stay, squared.
        """
        sought = self._sought(query)
        if not sought:
            return np.zeros(0, np.int64), np.zeros(0, np.float32)
        postings = [found for word, how in sought.items() if (found := self._of(word, how)) is not None]
        rows, sums = best(postings, len(self), k, living)
        largest = LARGEST_SHARE * sum(how.weight for how in sought.values())
        return rows, (sums / largest).astype(np.float32)

    def _sought(self, query: str) -> dict[str, "_Sought"]:
        """Return the words to search by, and how."""
        asked = terms(query)
        counts = {word: self.statistics.count(word) for word in telling(asked)}
        rare = {word: count for word, count in counts.items() if not self.statistics.is_common(count)}
        weights = {word: self.statistics.weight(count) for word, count in (rare or counts).items()}
        for word in weak_words(asked) & weights.keys():
            weights[word] *= WEAK
        total = sum(weights.values())
        inside = [word for word in weights if seeks_inside(word, counts[word] > 0)][:MOST_SEEKING]
        differing = [word for word in weights if may_differ(word)][:MOST_SEEKING]
        nearly = {word: self.words.alike(word) for word in differing}
        return {
            word: _Sought(max(1, int(SUM_OF_WEIGHTS * weight / total)), word in inside, nearly.get(word))
            for word, weight in weights.items()
        }

    def _of(self, word: str, how: "_Sought") -> Postings | None:
        """Return the postings of a word of a query, None for none."""
        number = self.words.find(word)
        own = [self._postings(number, how.weight)] if number >= 0 else []
        others, kept, of = self._others(word, how)
        if not len(others):
            return own[0] if own else None
        # All of them, however many: which are left out would depend on the other texts of the part.
        places = _runs(self.starts[others], self.starts[others + 1])
        counts = self.starts[others + 1] - self.starts[others]
        lessened = self.shares[places].astype(np.int64) * np.repeat(kept, counts) // np.repeat(of, counts)
        theirs = np.maximum(lessened, 1).astype(np.uint16)
        rows = np.concatenate([*(one.rows for one in own), self.rows[places]])
        shares = np.concatenate([*(one.shares for one in own), theirs])
        # Runs that ascend, which a stable sort merges.
        order = np.argsort(rows, kind="stable")
        rows, shares = rows[order], shares[order]
        firsts = np.flatnonzero(np.diff(rows, prepend=-1))
        shares = np.maximum.reduceat(shares, firsts)
        return Postings(rows[firsts], shares, how.weight)

    def _others(self, word: str, how: "_Sought") -> tuple[Numbers, Numbers, Numbers]:
        """Return the words that a word of a query finds beside itself, and of their shares kept / of."""
        none = np.zeros(0, np.int64)
        alike, by = how.nearly or (none, none)
        within = self.words.containing(word) if how.inside else none
        size = len(word)
        kept = np.concatenate([np.full(len(within), size), np.square(size - by)])
        of = np.concatenate([self.words.lengths[within], np.full(len(alike), size * size)])
        return np.concatenate([within, alike]), kept, of

    def _postings(self, number: int, weight: int) -> Postings:
        begin, end = self.starts[number], self.starts[number + 1]
        return Postings(self.rows[begin:end], self.shares[begin:end], weight)

    def _check(self, directory: Path) -> None:
        """Refuse (Mismatch) tables that do not agree."""
        postings = int(self.starts[-1]) if len(self.starts) else -1
        sizes = (len(self.starts) - 1, postings, postings)
        if sizes != (len(self.words), len(self.rows), len(self.shares)):
            raise refuse(f"{directory} has tables that do not agree: copy it again or run `spr build`.")


class _Sought(NamedTuple):
    """How a word is searched by. inside: whether others contain it. nearly: those that are nearly it, by."""

    weight: int
    inside: bool
    nearly: tuple[Numbers, Numbers] | None


def _runs(begins: NDArray[np.int64], ends: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the numbers of all [begin, end), run after run."""
    lengths = ends - begins
    skipped = begins - (np.cumsum(lengths) - lengths)
    numbers: NDArray[np.int64] = np.arange(lengths.sum(), dtype=np.int64) + np.repeat(skipped, lengths)
    return numbers


def _numbered(documents: Sequence[str]) -> tuple[Vocabulary, NDArray[np.int64], NDArray[np.int64]]:
    """Return the words of texts, (words in all,) word << 32 | row of each as it comes, and lengths (n,)."""
    seen: dict[str, int] = {}
    lengths = np.zeros(len(documents), np.int64)
    numbers: list[int] = []
    for row, document in enumerate(documents):
        listed = terms(document)
        lengths[row] = len(listed)
        numbers += [seen.setdefault(word, len(seen)) for word in listed]
    words = Vocabulary.of(seen)
    places = np.zeros(len(seen), np.int64)
    for place, word in enumerate(words.words()):
        places[seen[word]] = place
    rows = np.repeat(np.arange(len(documents), dtype=np.int64), lengths)
    return words, (places[np.array(numbers, np.int64)] << 32) | rows, lengths
