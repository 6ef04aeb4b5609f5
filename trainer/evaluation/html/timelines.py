"""Where the judged and the found moments of a query lie in its videos, as rows of bars to draw."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from trainer.evaluation.judged import Judgements, Ranking

# Of a query: videos with relevant moments, further videos of found ones, found moments of each kind.
JUDGED, FOUND, DEPTH = 3, 3, 10
WIDTH = 1000.0
Lengths = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Bar:
    """A span to draw, x and width of `WIDTH`. mark: grade or rank. told: in words. right: it counts."""

    x: float
    width: float
    mark: str
    told: str
    right: bool = False


@dataclass(frozen=True, slots=True)
class Track:
    """A video with a lane for the truth and for each ranking. seconds: how long it is, or is known to be."""

    video: str
    seconds: float
    lanes: Sequence[tuple[str, Sequence[Bar]]]


def tracks(
    judged: Judgements, found: Mapping[str, Ranking], right: Mapping[str, Sequence[bool]], seconds: Lengths
) -> list[Track]:
    """Return the videos to draw, those with the best judged moments first.

    found: rankings by the name of their lane. right: whether each of their moments counts as right.
    seconds: of videos; the last known end of one that is missing.
    """
    order = np.argsort(-judged.relevances, kind="stable")
    best = [str(judged.videos[row]) for row in order if judged.relevances[row] > 0]
    shown = list(dict.fromkeys(best))[:JUDGED]
    first = [
        str(ranking.videos[row]) for row in range(FOUND) for ranking in found.values() if row < len(ranking)
    ]
    others = [video for video in dict.fromkeys(first) if video not in shown]
    return [_track(video, judged, found, right, seconds) for video in (*shown, *others[:FOUND])]


def _track(
    video: str,
    judged: Judgements,
    found: Mapping[str, Ranking],
    right: Mapping[str, Sequence[bool]],
    seconds: Lengths,
) -> Track:
    there = (judged.videos == video) & (judged.relevances > 0)
    rows = {name: np.flatnonzero(ranking.videos[:DEPTH] == video) for name, ranking in found.items()}
    spans = [judged.spans[there], *(found[name].spans[at] for name, at in rows.items())]
    length = seconds.get(video) or max((float(part.max()) for part in spans if part.size), default=1.0)
    grades = [f"{grade:g}" for grade in judged.relevances[there]]
    truth = _bars(judged.spans[there], grades, [f"relevance {grade}" for grade in grades], length)
    lanes = [("truth", truth)]
    for name, at in rows.items():
        ranks = [str(row + 1) for row in at]
        counts = [right[name][row] for row in at.tolist()]
        told = [f"rank {rank}" for rank in ranks]
        lanes.append((name, _bars(found[name].spans[at], ranks, told, length, counts)))
    return Track(video, length, lanes)


def _bars(
    spans: Iterable[Sequence[float]],
    marks: Sequence[str],
    told: Sequence[str],
    length: float,
    right: Sequence[bool] | None = None,
) -> list[Bar]:
    bars = []
    for row, (start, end) in enumerate(spans):
        x, until = (min(max(time / length, 0.0), 1.0) * WIDTH for time in (start, end))
        words = f"{told[row]}: {start:.1f}-{end:.1f} s"
        bars.append(Bar(x, max(until - x, 2.0), marks[row], words, right is not None and right[row]))
    return bars
