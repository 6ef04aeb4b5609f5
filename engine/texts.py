"""What is said and written in videos: lines, the lists that a search of them makes, and their names."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from engine.types import Floats, Hits, Seconds

SEEN, SAID, WRITTEN = "seen", "said", "written"
CHANNELS = (SEEN, SAID, WRITTEN)
# The channels that have texts.
TEXTS = (SAID, WRITTEN)
WORDS, MEANING = "words", "meaning"

# Left, top, right, bottom as shares, 0..1, of the picture's width and height.
Box = tuple[float, float, float, float]


class ListName(NamedTuple):
    """A ranked list of segments: where and how it was sought."""

    channel: str
    method: str


# In the order of the columns of `RankQuery.texts`.
LISTS = tuple(ListName(channel, method) for channel in TEXTS for method in (WORDS, MEANING))


@dataclass(frozen=True, slots=True)
class Line:
    """A sentence, or a text on the screen: seconds from the first frame, half-open. box: of a written one."""

    start: Seconds
    end: Seconds
    text: str
    box: Box | None = None


@dataclass(frozen=True, eq=False, slots=True)
class TextsSought:
    """What is sought in texts.

    channels: of TEXTS. text: sought by its words; "": not by words. sentence: (dim,) float32 of unit length,
    sought by its meaning; None: not by meaning.
    """

    channels: tuple[str, ...]
    text: str
    sentence: Floats | None = None


@dataclass(frozen=True, slots=True)
class TextHits:
    """The hits of one list. Scores: of words 0..1, the share of the query found; of meaning a cosine."""

    name: ListName
    hits: Hits


@dataclass(frozen=True, slots=True)
class Sources:
    """The ranked lists that an answer is of. text: what was sought. seen: nothing where not in pictures."""

    text: str
    seen: Hits
    texts: tuple[TextHits, ...]


def overlapping(lines: Sequence[Line], start: Seconds, end: Seconds) -> list[Line]:
    """Return the lines that are there for some time of [start, end)."""
    return [line for line in lines if line.start < end and line.end > start]
