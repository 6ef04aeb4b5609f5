"""Queries of more than one sentence, and what the server understood of a text."""

from collections.abc import Sequence
from dataclasses import dataclass

from spr_client.parts import Part


@dataclass(frozen=True, slots=True, kw_only=True)
class Composed:
    """A query of parts, at most 5: moments of one video that follow each other ("A, then B").

    within: the longest pause between the end of one and the start of the next, seconds; None: the server's,
    30.
    """

    parts: Sequence[Part]
    within: float | None = None


@dataclass(frozen=True, slots=True)
class Lift:
    """Words of a text that were taken for more than a description. meaning: for people."""

    words: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Interpretation:
    """What was searched in place of a text.

    then: sentences that follow it in order. without: what must not be there. lifts: in the text's order; give
    the words of one in `Options.literal_words` to undo it.
    """

    text: str
    then: tuple[str, ...]
    without: tuple[str, ...]
    lifts: tuple[Lift, ...]


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A moment of another video that shows the same pictures: `[start, end)` seconds."""

    video: str
    start: float
    end: float
