"""Hits -> proposals: neighbouring hits of a video become one coarse moment.

The three rules of the SPR framework (arXiv 2501.05072): join adjacent segments only, bridge gaps of up to a
fixed number of segments, or bridge gaps up to a share of what they part. Where the published code yields a
moment that is inverted or lies beyond its video's end, none is proposed; a segment hit twice counts once.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from engine.errors import InvalidInput
from engine.types import Doubles, Hits, Proposals


@dataclass(frozen=True, slots=True)
class ProposalRule:
    """When two runs of hits of one video are joined.

    kind "adjacent": never; "constant": over at most `gap` missing segments, gap a whole number >= 1;
    "adaptive": over at most gap * (both runs' joint length) missing segments, 0 <= gap <= 1.
    """

    kind: Literal["adjacent", "constant", "adaptive"] = "adjacent"
    gap: float = 0.0

    def __post_init__(self) -> None:
        if self.kind == "constant" and (self.gap < 1 or self.gap != int(self.gap)):
            raise InvalidInput(f"constant_gap is {self.gap:g}; it must be a whole number, at least 1")
        if self.kind == "adaptive" and not 0 <= self.gap <= 1:
            raise InvalidInput(f"adaptive_gap is {self.gap:g}; it must lie in 0..1")

    @classmethod
    def parse(cls, text: str) -> "ProposalRule":
        """Read `adjacent`, `constant:2` or `adaptive:0.5`."""
        kind, _, gap = text.partition(":")
        try:
            if kind == "constant":
                return cls("constant", int(gap))
            if kind == "adaptive":
                return cls("adaptive", float(gap))
        except ValueError:
            kind = ""
        if kind != "adjacent" or gap:
            raise InvalidInput(f"proposal rule is {text!r}; write adjacent, constant:N or adaptive:SHARE")
        return cls()


@dataclass(frozen=True, slots=True)
class _Runs:
    """Runs of segments, by video and first segment. All (n,); last is inclusive; rank is the best hit's."""

    videos: NDArray[np.int64]
    first: NDArray[np.int64]
    last: NDArray[np.int64]
    ranks: NDArray[np.int64]


def propose(
    hits: Hits, durations: Doubles, segment_length: float, rule: ProposalRule | None = None
) -> Proposals:
    """Return the proposals of one query's hits, ordered by their best hit's rank.

    durations: (videos,) float64 seconds by ordinal. segment_length: seconds.
    """
    rule = rule or ProposalRule()
    runs = _adjacent(hits)
    if rule.kind == "constant":
        runs = _joined(runs, _bridged_constant(runs, int(rule.gap)))
    elif rule.kind == "adaptive":
        runs = _joined(runs, _bridged_adaptive(runs, rule.gap))
    ends = np.minimum((runs.last + 1) * segment_length, durations[runs.videos])
    spans = np.stack([runs.first * segment_length, ends], axis=1)
    keep = np.flatnonzero(spans[:, 1] > spans[:, 0])
    keep = keep[np.argsort(runs.ranks[keep], kind="stable")]
    ranks = runs.ranks[keep]
    return Proposals(
        videos=runs.videos[keep].astype(np.int32),
        spans=spans[keep],
        ranks=ranks.astype(np.int32),
        scores=hits.scores[ranks],
    )


def _adjacent(hits: Hits) -> _Runs:
    """Return the runs of consecutive segments."""
    order = np.lexsort((hits.segments, hits.videos))
    videos, segments = hits.videos[order].astype(np.int64), hits.segments[order].astype(np.int64)
    singles = _Runs(videos, segments, segments, order)
    repeated = _same_video(singles) & (np.diff(segments) == 0)
    singles = _joined(singles, repeated)
    return _joined(singles, _same_video(singles) & (np.diff(singles.first) == 1))


def _same_video(runs: _Runs) -> NDArray[np.bool_]:
    """Return for each run but the first whether it follows one of its own video. Shape: (n - 1,)."""
    return np.asarray(np.diff(runs.videos) == 0)


def _gaps(runs: _Runs) -> NDArray[np.int64]:
    """Return the number of missing segments before each run but the first. Shape: (n - 1,)."""
    return runs.first[1:] - runs.last[:-1] - 1


def _bridged_constant(runs: _Runs, limit: int) -> NDArray[np.bool_]:
    return _same_video(runs) & (_gaps(runs) <= limit)


def _bridged_adaptive(runs: _Runs, share: float) -> NDArray[np.bool_]:
    # Greedy from left to right: what has been joined counts as one run, its bridged gaps included. Each
    # decision needs the one before it, so this is a loop; plain lists make it fast enough.
    first, last = runs.first.tolist(), runs.last.tolist()
    same = _same_video(runs).tolist()
    bridged = []
    begin = first[0] if first else 0
    for i, same_video in enumerate(same):
        lengths = (last[i] - begin + 1) + (last[i + 1] - first[i + 1] + 1)
        joined = same_video and first[i + 1] - last[i] - 1 <= share * lengths
        if not joined:
            begin = first[i + 1]
        bridged.append(joined)
    return np.array(bridged, dtype=bool)


def _joined(runs: _Runs, with_previous: NDArray[np.bool_]) -> _Runs:
    """Join each run but the first to the one before it where `with_previous` (n - 1,) says so."""
    if not len(runs.videos):
        return runs
    opens = np.flatnonzero(np.concatenate([[True], ~with_previous]))

    def reduced(ufunc: Callable[..., NDArray[np.int64]], column: NDArray[np.int64]) -> NDArray[np.int64]:
        return ufunc(column, opens)

    return _Runs(
        videos=runs.videos[opens],
        first=runs.first[opens],
        last=reduced(np.maximum.reduceat, runs.last),
        ranks=reduced(np.minimum.reduceat, runs.ranks),
    )
