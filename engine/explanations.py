"""Why moments of a video were found."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

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

    @staticmethod
    def nearest(several: Sequence["Compared | None"]) -> "Compared | None":
        """Return of several sentences' comparisons with one video the largest value of each second."""
        there = [one for one in several if one is not None]
        if len(there) < len(several):
            return None
        frames, subtitles = ([one.frames for one in there], [one.subtitles for one in there])
        return Compared(there[0].step, np.max(frames, axis=0), np.max(subtitles, axis=0))


@dataclass(frozen=True, slots=True)
class Explanation:
    """The answer to a query, and its comparison with one video; None where no ranker compared them."""

    answer: Answer
    video: int
    compared: Compared | None
