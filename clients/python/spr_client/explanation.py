"""Why moments of a video were found, as plain values."""

from dataclasses import dataclass

from spr_client.types import Coverage, Moment


@dataclass(frozen=True, slots=True)
class Segment:
    """A retrieved segment: `[start, end)` seconds. rank: from 0, over the whole corpus.

    channel, method: of the list it was in, as `Finding` has them; "" where no texts are searched.
    """

    start: float
    end: float
    score: float
    rank: int
    channel: str = ""
    method: str = ""


@dataclass(frozen=True, slots=True)
class Curve:
    """One cosine every `step` seconds, the first at the first frame."""

    step: float
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why moments of a video were found. duration: of the video, seconds.

    segments: what was retrieved of it, by time. moments: as in the whole list, with its ranks. frames,
    subtitles: similarity of the sentence; None where there is none.
    """

    video: str
    duration: float
    segments: tuple[Segment, ...]
    moments: tuple[Moment, ...]
    frames: Curve | None
    subtitles: Curve | None
    coverage: Coverage
    generation: str
    ranker: str
    request_id: str
