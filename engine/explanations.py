"""Why moments of a video were found."""

from dataclasses import dataclass

from engine.answers import Answer
from engine.types import Floats


@dataclass(frozen=True, slots=True)
class Compared:
    """How similar a sentence is to a video, one value every `step` seconds, the first at the first frame.

    frames, subtitles: (n,) cosines, 0 where nobody speaks; (0,) where there are no such features.
    """

    step: float
    frames: Floats
    subtitles: Floats


@dataclass(frozen=True, slots=True)
class Explanation:
    """The answer to a query, and its comparison with one video; None where no ranker compared them."""

    answer: Answer
    video: int
    compared: Compared | None
