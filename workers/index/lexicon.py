"""Frozen word statistics: every part of a version scores by the same ones, whatever its own texts are.

COLLECTION/quantizers/<first 16 of its SHA-256>.lexicon: safetensors; for each channel `words` (UTF-8, a line
each, sorted), `counts` (texts that have the word), `texts` (how many there are, their mean length in words).
"""

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from engine import frozen
from engine.entries import Version, refuse
from engine.files import MALFORMED
from engine.words import terms
from workers.index.vocabulary import Vocabulary

# A query leaves out words of more than this share of all texts where it has others: they tell nothing apart.
COMMON = 0.2
# Of few texts every word is in a large share.
COMMON_AT_LEAST = 20
# Of the weight of a word that one text has, that of a word of none, which tells no text from another. Chosen
# on val of the rendered worlds, as the gates of `engine.channels`.
UNKNOWN = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Statistics:
    """The words of a channel. counts: (words,) int32, texts that have the word. mean_length: in words."""

    documents: int
    mean_length: float
    words: Vocabulary
    counts: NDArray[np.int32]

    @staticmethod
    def of(documents: Iterable[str]) -> "Statistics":
        """Count the words of some texts."""
        found: Counter[str] = Counter()
        number = length = 0
        for document in documents:
            listed = terms(document)
            found.update(set(listed))
            number, length = number + 1, length + len(listed)
        words = Vocabulary.of(found)
        counts = np.array([found[word] for word in words.words()], np.int32)
        return Statistics(number, length / max(1, number), words, counts)

    def count(self, word: str) -> int:
        """Return how many texts have a word."""
        place = self.words.find(word)
        return int(self.counts[place]) if place >= 0 else 0

    def weight(self, count: int) -> float:
        """Return the inverse document frequency of a word that so many texts have; of none, UNKNOWN of one's.

        Robertson and Zaragoza, The Probabilistic Relevance Framework, 2009, in Lucene's form: never negative.
        """
        share = 1.0 if count else UNKNOWN
        count = min(max(count, 1), max(self.documents, 1))
        return share * math.log1p((max(self.documents, 1) - count + 0.5) / (count + 0.5))

    def is_common(self, count: int) -> bool:
        """Tell whether a word that so many texts have tells too little to search by."""
        return count > max(COMMON * self.documents, COMMON_AT_LEAST)


class Lexicon:
    """The statistics of each channel, which name themselves by their bytes."""

    def __init__(self, channels: Mapping[str, Statistics]) -> None:
        self._channels = dict(channels)
        tensors: dict[str, NDArray[np.generic]] = {}
        for name, one in sorted(self._channels.items()):
            tensors[f"{name}.words"] = np.frombuffer(one.words.text, np.uint8)
            tensors[f"{name}.counts"] = one.counts
            tensors[f"{name}.texts"] = np.array([one.documents, one.mean_length], np.float64)
        self._bytes: bytes = save(tensors)

    @classmethod
    def of(cls, channels: Mapping[str, Iterable[str]]) -> "Lexicon":
        """Count the words of the texts of each channel."""
        return cls({name: Statistics.of(documents) for name, documents in channels.items()})

    @property
    def sha256(self) -> str:
        """Name it by its bytes."""
        return hashlib.sha256(self._bytes).hexdigest()

    def channel(self, name: str) -> Statistics:
        """Return the statistics of a channel; those of no text where it had none."""
        return self._channels.get(name) or Statistics.of(())

    def save(self, collection: Path) -> None:
        """Keep it in the collection under the name that `read` finds, atomically; once is enough."""
        frozen.save(path_of(collection, self.sha256), self._bytes)

    @classmethod
    def read(cls, collection: Path, sha256: str) -> "Lexicon":
        """Return the lexicon of this checksum; NotFound or Mismatch where it is not there, whole."""
        path = path_of(collection, sha256)
        content = frozen.read(path, sha256)
        try:
            tensors = load(content)
            names = sorted(name.removesuffix(".texts") for name in tensors if name.endswith(".texts"))
            return cls({name: _statistics(tensors, name) for name in names})
        except (SafetensorError, *MALFORMED) as error:
            raise refuse(f"{path} cannot be read ({error}): {frozen.REMEDY}") from None


def _statistics(tensors: Mapping[str, NDArray[np.generic]], name: str) -> Statistics:
    documents, mean_length = tensors[f"{name}.texts"].tolist()
    words = Vocabulary(tensors[f"{name}.words"].tobytes())
    return Statistics(int(documents), float(mean_length), words, tensors[f"{name}.counts"].astype(np.int32))


def files_of(version: Version) -> list[str]:
    """Return the name, in the collection, of a version's lexicon, if it has one."""
    about = version.texts
    return [] if about is None else [str(path_of(Path(), about.lexicon_sha256))]


def path_of(collection: Path, sha256: str) -> Path:
    """Return where the lexicon of a checksum is kept."""
    return frozen.path_of(collection, sha256, "lexicon")
