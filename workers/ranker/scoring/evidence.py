"""Evidence: what the ranker finds in a window before fusion makes a score of it; one row a proposal.

`judge` is the readable form, in torch, for any device and for windows that were just encoded. `kernel` does
the same for stored contexts in one pass; tests hold the two against each other.
"""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.types import Doubles, Floats

# The log-probability of a start or an end where a window has no span: uniform over 128 clips.
UNSURE = float(np.log(1 / 128))


@dataclass(frozen=True, slots=True)
class Evidence:
    """Spans and measurements of n windows; every number is finite.

    start, end: (n,) int64 clips of the window, inclusive; end < start where no span fits into it.
    log_start, log_end: (n,) float64 log-probabilities of the two, UNSURE where there is no span.
    relevance: (n,) float32 S of the window: the mean over both streams of the best clip's cosine, -1 for an
    empty window. span_relevance: (n,) float32 S of the span's clips alone, S where there is no span.
    contrast: (n,) float32 mean clip similarity r in the span minus that outside it; 0 where one is empty.
    best: (n,) int64 the span's clip of the highest video cosine, the first of equal ones; else -1.
    """

    start: NDArray[np.int64]
    end: NDArray[np.int64]
    log_start: Doubles
    log_end: Doubles
    relevance: Floats
    span_relevance: Floats
    contrast: Floats
    best: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.start)

    @property
    def found(self) -> NDArray[np.bool_]:
        """Where there is a span."""
        return np.asarray(self.end >= self.start)

    @staticmethod
    def empty(n: int) -> "Evidence":
        """Return the evidence of n windows without clips, for others to be written into."""
        return Evidence(
            start=np.zeros(n, np.int64),
            end=np.full(n, -1, np.int64),
            log_start=np.full(n, UNSURE),
            log_end=np.full(n, UNSURE),
            relevance=np.full(n, -1.0, np.float32),
            span_relevance=np.full(n, -1.0, np.float32),
            contrast=np.zeros(n, np.float32),
            best=np.full(n, -1, np.int64),
        )

    def put(self, rows: NDArray[np.int64], part: "Evidence") -> None:
        """Write another evidence into some rows of this one."""
        for column in fields(self):
            getattr(self, column.name)[rows] = getattr(part, column.name)

    def moved(self, places: NDArray[np.int64] | slice) -> "Evidence":
        """Return the same rows elsewhere: row i at places[i]; as they are for a slice, which is of all."""
        if isinstance(places, slice):
            return self
        whole = Evidence.empty(len(self))
        whole.put(places, self)
        return whole

    def cut(self, rows: slice) -> "Evidence":
        """Return a range of rows, as views."""
        return Evidence(*(getattr(self, column.name)[rows] for column in fields(self)))


@dataclass(frozen=True, slots=True)
class QueryVectors:
    """q encoded queries as scoring meets them, (q, h) float32 each, contiguous.

    unit_*: unit length, for cosines. linear_*: for the clip similarity r, a dot product.
    """

    unit_video: Floats
    unit_subtitle: Floats
    linear_video: Floats
    linear_subtitle: Floats

    def __len__(self) -> int:
        return len(self.unit_video)

    def columns(self) -> tuple[Floats, Floats, Floats, Floats]:
        """Return the four, in order."""
        return self.unit_video, self.unit_subtitle, self.linear_video, self.linear_subtitle

    @staticmethod
    def stack(parts: "list[QueryVectors]") -> "QueryVectors":
        """Join the queries of several."""
        columns = zip(*(part.columns() for part in parts), strict=True)
        return QueryVectors(*(np.concatenate(column) for column in columns))


@dataclass(frozen=True, slots=True)
class Biases:
    """What to add by the place of a clip relative to the proposal, (2R + 1,) float32 each.

    start: to start logits, by clip - the proposal's first clip. end: to end logits, by clip - its last clip.
    clip: to a clip's cosines, by its signed distance from the proposal, 0 inside. Distances are clipped to
    -R..R; entry R is distance 0.
    """

    start: Floats
    end: Floats
    clip: Floats


@dataclass(frozen=True, slots=True)
class Heads:
    """What turns clip similarities into spans: two filters (k,) float32, k odd, and the spans' lengths."""

    start: Floats
    end: Floats
    min_span: int
    max_span: int
    biases: Biases | None = None


@dataclass(frozen=True, slots=True)
class Jobs:
    """n windows to judge, (n,) int64 each.

    rows: the window's first row in the store. lengths: its clips. first, last: the proposal's clips inside
    the window, inclusive. queries: which query each is of.
    """

    rows: NDArray[np.int64]
    lengths: NDArray[np.int64]
    first: NDArray[np.int64]
    last: NDArray[np.int64]
    queries: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, rows: NDArray[np.int64] | slice) -> "Jobs":
        """Return some of the jobs."""
        return Jobs(*(getattr(self, column.name)[rows] for column in fields(self)))


def convolve(r: Tensor, filters: Floats | Tensor) -> Tensor:
    """Filter clip similarities (n, l) to logits (n, l), with zeros on both sides."""
    taps = torch.as_tensor(filters, device=r.device, dtype=r.dtype)
    return torch.nn.functional.conv1d(r[:, None], taps[None, None], padding=len(filters) // 2)[:, 0]


def judge(
    cosines: tuple[Tensor, Tensor], r: Tensor, lengths: Tensor, inner: tuple[Tensor, Tensor], heads: Heads
) -> Evidence:
    """Decide spans and measure them; see `decide`."""
    return Evidence(*(_array(column) for column in decide(cosines, r, lengths, inner, heads)))


def decide(
    cosines: tuple[Tensor, Tensor], r: Tensor, lengths: Tensor, inner: tuple[Tensor, Tensor], heads: Heads
) -> tuple[Tensor, ...]:
    """Return the columns of `Evidence` where the tensors lie, (n,) each; the host waits for nothing.

    cosines: of video and subtitles, (n, l). r: (n, l) clip similarities; what lies behind a window's end is
    convolved as it is, so zero it unless it is meant. lengths: (n,) clips that count. inner: first and last
    clip of the proposal, (n,) each, inside the window.
    """
    places = torch.arange(r.shape[1], device=r.device)
    present = places < lengths[:, None]
    starts, ends = convolve(r, heads.start), convolve(r, heads.end)
    first, last = (clip[:, None] for clip in inner)
    shift = torch.zeros_like(r)
    if heads.biases is not None:
        before, behind = (places - first).clamp(max=0), (places - last).clamp(min=0)
        starts = starts + _look_up(heads.biases.start, places - first)
        ends = ends + _look_up(heads.biases.end, places - last)
        shift = _look_up(heads.biases.clip, before + behind)
    start, end, log_start, log_end = best_spans(starts, ends, lengths, heads.min_span, heads.max_span)
    inside = (places >= start[:, None]) & (places <= end[:, None]) & present
    relevance = _best(cosines, shift, present)
    found = end >= start
    span_relevance = torch.where(found, _best(cosines, shift, inside), relevance)
    contrast = _mean(r, inside, present & ~inside)
    best = torch.where(found, cosines[0].masked_fill(~inside, -torch.inf).argmax(1), -1)
    return start, end, log_start, log_end, relevance, span_relevance, contrast, best


def best_spans(
    starts: Tensor, ends: Tensor, lengths: Tensor, shortest: int, longest: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Choose each window's most probable span of shortest..longest clips; ties: the earlier start, then end.

    starts, ends: logits (n, l), of which the first lengths[i] count. Return (n,) each: start, end (inclusive,
    0 and -1 where none fits), log-probability of the start and of the end (UNSURE where none fits).
    """
    n, width = starts.shape
    present = torch.arange(width, device=starts.device) < lengths[:, None]
    log_start, log_end = _log_softmax(starts, present), _log_softmax(ends, present)
    reach = longest - shortest + 1
    padded = log_end.new_full((n, width + longest - 1), -torch.inf)
    padded[:, :width] = log_end
    # joint[i, m, k]: start at m, end at m + shortest - 1 + k.
    joint = log_start[:, :, None] + padded[:, shortest - 1 :].unfold(1, reach, 1)
    value, best = joint.flatten(1).max(1)
    row, start = torch.arange(n, device=starts.device), best // reach
    end = start + best % reach + shortest - 1
    found = torch.isfinite(value)
    unsure = torch.full_like(value, UNSURE)
    return (
        torch.where(found, start, 0),
        torch.where(found, end, -1),
        torch.where(found, log_start[row, start], unsure),
        torch.where(found, log_end[row, end.clamp(max=width - 1)], unsure),
    )


def _best(cosines: tuple[Tensor, Tensor], shift: Tensor, where: Tensor) -> Tensor:
    video, subtitle = ((stream + shift).masked_fill(~where, -torch.inf).amax(1) for stream in cosines)
    return torch.where(where.any(1), (video + subtitle) / 2, -1.0)


def _mean(r: Tensor, inside: Tensor, outside: Tensor) -> Tensor:
    within, without = ((r * part).sum(1) / part.sum(1).clamp(min=1) for part in (inside, outside))
    return torch.where(inside.any(1) & outside.any(1), within - without, 0.0)


def _look_up(table: Floats | Tensor, distance: Tensor) -> Tensor:
    reach = len(table) // 2
    values = torch.as_tensor(table, device=distance.device)
    return values[distance.clamp(-reach, reach) + reach]


def _log_softmax(logits: Tensor, present: Tensor) -> Tensor:
    # Rows without any clip become -inf everywhere, not NaN.
    masked = logits.double().masked_fill(~present, -torch.inf)
    return torch.where(present, masked - torch.logsumexp(masked, 1, keepdim=True), -torch.inf)


def _array(tensor: Tensor) -> NDArray[Any]:
    array: NDArray[Any] = tensor.cpu().numpy()
    return array
