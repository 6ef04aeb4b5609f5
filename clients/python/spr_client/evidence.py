"""What found a moment: the lists it is in, and what is said or written there."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a text. matched: whether it is a word of the query."""

    text: str
    matched: bool


@dataclass(frozen=True, slots=True)
class TextLine:
    """A sentence, or a text on the screen: `[start, end)` seconds. pieces: joined they are all of it.

    box: where it stands on the screen: left, top, right, bottom as shares, 0..1; None of what is said.
    """

    start: float
    end: float
    pieces: tuple[Piece, ...]
    box: tuple[float, float, float, float] | None = None

    def __str__(self) -> str:
        return "".join(piece.text for piece in self.pieces)


@dataclass(frozen=True, slots=True)
class Finding:
    """A ranked list that a moment is in.

    channel: "seen", "said" or "written". method: "meaning" or "words". rank: from 0, of the moment's best
    segment in this list. line: what is said or written there that fits best, None of what is seen. part: of
    a query of several parts, from 0.
    """

    channel: str
    method: str
    rank: int
    line: TextLine | None = None
    part: int = 0
