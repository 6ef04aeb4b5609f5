"""Hits -> proposals: the coarse moments that the ranker reads.

Three rules are of the SPR framework (arXiv 2501.05072): join adjacent segments only, bridge gaps of up to a
fixed number of segments, or bridge gaps up to a share of what they part. Each run of hits is one proposal and
so one answer, however many moments it holds. The fourth rule joins nothing: every peak of the hits along a
video is a proposal, widened to its neighbours, hit or not. Where the published code yields a moment that is
inverted or lies beyond its video's end, none is proposed; a segment hit twice counts once.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from engine.errors import InvalidInput
from engine.types import Doubles, Hits, Proposals

# Upper bound of the segments that widen a peak on either side.
WIDEST = 100


@dataclass(frozen=True, slots=True)
class ProposalRule:
    """How hits of one video become proposals. The default is the published rule.

    kind "adjacent": every run of adjacent hits is one. Two runs are joined, "constant": over at most `size`
    missing segments, a whole number >= 1; "adaptive": over at most size * (both runs' joint length) missing
    segments, 0 <= size <= 1. "peaks": every hit that no adjacent hit outranks is one, with `size` segments
    more on both sides, a whole number >= 0; proposals may overlap.
    """

    kind: Literal["adjacent", "constant", "adaptive", "peaks"] = "adjacent"
    size: float = 0.0

    def __post_init__(self) -> None:
        if self.kind == "constant" and (self.size < 1 or self.size != int(self.size)):
            raise InvalidInput(f"constant_gap is {self.size:g}; it must be a whole number, at least 1")
        if self.kind == "adaptive" and not 0 <= self.size <= 1:
            raise InvalidInput(f"adaptive_gap is {self.size:g}; it must lie in 0..1")
        if self.kind == "peaks" and (not 0 <= self.size <= WIDEST or self.size != int(self.size)):
            raise InvalidInput(f"peaks is {self.size:g}; it must be a whole number in 0..{WIDEST}")

    def __str__(self) -> str:
        if self.kind == "adjacent":
            return self.kind
        return f"{self.kind}:{self.size if self.kind == 'adaptive' else int(self.size)}"

    @classmethod
    def parse(cls, text: str) -> "ProposalRule":
        """Read `adjacent`, `constant:2`, `adaptive:0.5` or `peaks:1`: what a rule prints as."""
        kind, _, size = text.partition(":")
        try:
            if kind in ("constant", "peaks"):
                return cls("constant" if kind == "constant" else "peaks", int(size))
            if kind == "adaptive":
                return cls("adaptive", float(size))
        except ValueError:
            kind = ""
        if kind != "adjacent" or size:
            raise InvalidInput(
                f"proposal rule is {text!r}; write adjacent, constant:N, adaptive:SHARE or peaks:N"
            )
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
    singles = _singles(hits)
    if rule.kind == "peaks":
        runs = _peaks(singles, durations, segment_length, int(rule.size))
    else:
        runs = _joined(singles, _touching(singles))
    if rule.kind == "constant":
        runs = _joined(runs, _bridged_constant(runs, int(rule.size)))
    elif rule.kind == "adaptive":
        runs = _joined(runs, _bridged_adaptive(runs, rule.size))
    spans = np.empty((len(runs.videos), 2))
    spans[:, 0] = runs.first * segment_length
    spans[:, 1] = np.minimum((runs.last + 1) * segment_length, durations[runs.videos])
    keep = np.flatnonzero(spans[:, 1] > spans[:, 0])
    keep = keep[np.argsort(runs.ranks[keep], kind="stable")]
    ranks = runs.ranks[keep]
    return Proposals(
        videos=runs.videos[keep].astype(np.int32),
        spans=spans[keep],
        ranks=ranks.astype(np.int32),
        scores=hits.scores[ranks],
        cosines=None if hits.cosines is None else hits.cosines[ranks],
    )


def _singles(hits: Hits) -> _Runs:
    """Return every segment that was hit as a run of its own."""
    order = np.lexsort((hits.segments, hits.videos))
    videos, segments = hits.videos[order].astype(np.int64), hits.segments[order].astype(np.int64)
    singles = _Runs(videos, segments, segments, order)
    twice = _same_video(singles) & (segments[1:] == segments[:-1])
    return _joined(singles, twice) if twice.any() else singles


def _peaks(singles: _Runs, durations: Doubles, segment_length: float, more: int) -> _Runs:
    """Return the hits that no adjacent hit outranks, each with `more` segments on both sides."""
    touching = _touching(singles)
    rises = singles.ranks[1:] > singles.ranks[:-1]  # The one before has the better rank.
    is_peak = singles.first * segment_length < durations[singles.videos]
    is_peak[1:] &= ~(touching & rises)
    is_peak[:-1] &= ~(touching & ~rises)
    videos, middle = singles.videos[is_peak], singles.first[is_peak]
    return _Runs(videos, np.maximum(middle - more, 0), middle + more, singles.ranks[is_peak])


def _touching(singles: _Runs) -> NDArray[np.bool_]:
    """Return for each segment but the first whether it directly follows the one before. Shape: (n - 1,)."""
    return np.asarray(_same_video(singles) & (singles.first[1:] - singles.first[:-1] == 1))


def _same_video(runs: _Runs) -> NDArray[np.bool_]:
    """Return for each run but the first whether it follows one of its own video. Shape: (n - 1,)."""
    # Not np.diff, which takes as long as ten such comparisons.
    return np.asarray(runs.videos[1:] == runs.videos[:-1])


def _gaps(runs: _Runs) -> NDArray[np.int64]:
    """Return the number of missing segments before each run but the first. Shape: (n - 1,)."""
    return runs.first[1:] - runs.last[:-1] - 1


def _bridged_constant(runs: _Runs, limit: int) -> NDArray[np.bool_]:
    return _same_video(runs) & (_gaps(runs) <= limit)


def _bridged_adaptive(runs: _Runs, share: float) -> NDArray[np.bool_]:
    # Greedy from left to right: a joined run's length includes its bridged gaps. Each decision depends on the
    # one before, so this is a loop; plain lists make it fast enough.
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
