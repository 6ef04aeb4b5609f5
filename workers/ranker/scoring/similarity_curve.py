"""The zero-shot ranker: it reads a moment off the query's similarity to every single frame.

A segment's embedding says that something within four seconds fits the sentence; the frames say when. For
every proposal, over its window of seconds:

    curve       cosine of sentence and frame, and of sentence and subtitle where somebody speaks, in standard
                deviations over all windows of the query, the larger of the two; smoothed
    level       halfway between the window's background (its lowest tenth) and the proposal's peak
    span        the seconds whose curve lies above the level by the largest sum, overlapping the proposal
    score       mean of the curve inside the span + the coarse score in standard deviations; near duplicates,
                of proposals that overlap, come last

Levels and sums adapt to each window, so nothing depends on how an encoder spreads its cosines.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.errors import InvalidInput
from engine.temporal import demoted
from engine.types import Doubles, Floats, Ranked, RankQuery
from workers.ranker.model.windows import Counts, WindowConfig, Windows, arrange
from workers.ranker.scoring.ranker import Reads
from workers.ranker.stores.features import FRAMES, SUBTITLES, FeatureMaps

NAME = "similarity-curve"
CHUNK = 16384  # rows read at once: bounds the memory of hour-long windows
FLAT = 1e-6
UNBOUNDED = 2**62


@dataclass(frozen=True, slots=True)
class CurveConfig:
    """How a curve becomes a moment.

    context: seconds looked at on both sides of a proposal. level: where the border lies between background
    (0) and peak (1). background: quantile of the window that counts as background. subtitle_weight: how far
    a subtitle that stands out lifts the curve, beside a frame. coarse_weight: of the coarse score. overlap:
    a moment that overlaps a better one of its video by more than this IoU comes after all that do not.
    """

    context: float = 8.0
    level: float = 0.5
    background: float = 0.1
    subtitle_weight: float = 0.5
    coarse_weight: float = 1.0
    overlap: float = 0.5


@dataclass(frozen=True, slots=True)
class Cut:
    """Chosen clips of every window: [first, last), relative to it; clear (n,) is False on a flat curve."""

    first: Counts
    last: Counts
    clear: NDArray[np.bool_]


class SimilarityCurve:
    """Zero-shot ranker over the frame features that a sentence's own embedding can be compared with."""

    def __init__(self, config: CurveConfig | None = None) -> None:
        self.config = config or CurveConfig()
        self.name = NAME

    @property
    def streams(self) -> Mapping[str, int]:
        """Empty: it reads frames as wide as the encoder makes them, and subtitles that compare with them."""
        return {}

    @property
    def token_width(self) -> int:
        """0: it reads no token states."""
        return 0

    @property
    def reads(self) -> Reads:
        """Features."""
        return "features"

    @property
    def batched(self) -> bool:
        """False: it ranks one query after the other."""
        return False

    def rank_many(self, queries: Sequence[RankQuery], features: FeatureMaps) -> list[Ranked]:
        """Refine and score the proposals of every query, one query after the other.

        Raises InvalidInput where a text embedding is not as wide as the frame features.
        """
        found = zip(queries, self.found_many(queries, features), strict=True)
        return [self.settled(query, rows, features) for query, rows in found]

    def found_many(self, queries: Sequence[RankQuery], features: FeatureMaps) -> list[Doubles]:
        """Return each proposal's cosines, (n, 3 + 2 * longest window) a query.

        First clip of the window, number of clips, seconds of the video; then of each clip the cosine of frame
        and of subtitle, NaN where there is none.
        """
        return [self._found(query, features) for query in queries]

    def settled(self, query: RankQuery, found: Doubles, features: FeatureMaps) -> Ranked:
        """Refine and score a query's proposals by the cosines found; InvalidInput where those are none."""
        step, config = features.step(FRAMES), self.config
        if found.shape[1] % 2 == 0 or not np.isfinite(found[:, :3]).all():
            raise InvalidInput("found answers no part of this query; send what Rank returned", field="found")
        first, lengths, durations = found[:, 0].astype(np.int64), found[:, 1].astype(np.int64), found[:, 2]
        frames, subtitles = found[:, 3::2], found[:, 4::2]
        if lengths.max(initial=0) > frames.shape[1]:
            raise InvalidInput("found has fewer cosines than its windows have clips", field="found")
        steps = np.full(len(query), step, np.float64)
        origins = np.asarray(first * step, np.float64)
        windows = Windows(query.videos, first, first + lengths, lengths, origins, steps)
        seen, spoken = np.isfinite(frames), np.isfinite(subtitles)
        cosines = np.where(seen, frames, 0.0)
        curve = standardised(cosines, seen)
        lift = config.subtitle_weight * standardised(np.where(spoken, subtitles, 0.0), spoken)
        curve = np.where(spoken, np.maximum(curve, lift), curve)
        inside = clip_range(windows, query.spans, step)
        cut = best_cut(smoothed(curve, lengths), lengths, inside, config)
        return _ranked(query, cut, cosines, curve, windows, durations, config)

    def _found(self, query: RankQuery, features: FeatureMaps) -> Doubles:
        config, step = self.config, features.step(FRAMES)
        dim = features.streams[FRAMES].dim
        if query.text_embedding.shape != (dim,):
            raise InvalidInput(
                f"The text embedding has shape {query.text_embedding.shape}, the frame features are {dim} "
                "wide; send the one that Encode returned.",
                reason="TENSOR_SIZE_MISMATCH",
            )
        videos = query.videos
        durations, clips = features.durations[videos], features.counts(FRAMES)[videos]
        wide = WindowConfig(clip_length=step, context=config.context, max_clips=UNBOUNDED)
        windows = arrange(videos, query.spans, durations, clips, wide)
        text = query.text_embedding.astype(np.float32)
        text = text / max(float(np.linalg.norm(text)), 1e-12)
        found = np.full((len(query), 3 + 2 * int(windows.lengths.max(initial=0))), np.nan)
        found[:, :3] = np.stack([windows.first, windows.lengths, durations], axis=1)
        found[:, 3::2] = _cosines(text, features, FRAMES, windows)
        if SUBTITLES in features.streams and features.streams[SUBTITLES].dim == len(text):
            found[:, 4::2] = _cosines(text, features, SUBTITLES, windows)
        return found


def standardised(values: Doubles, valid: NDArray[np.bool_]) -> Doubles:
    """Return values in standard deviations from their mean, over all valid ones; 0 elsewhere."""
    chosen = values[valid]
    if not len(chosen):
        return np.zeros_like(values)
    spread = float(chosen.std())
    centred = np.where(valid, values - chosen.mean(), 0.0)
    return centred / spread if spread > FLAT else np.zeros_like(values)


def smoothed(curve: Doubles, lengths: Counts) -> Doubles:
    """Return the running mean of a clip (weight 2) and its neighbours (1), of those inside the window."""
    n, width = curve.shape
    valid = (np.arange(width) < lengths[:, None]).astype(np.float64)
    padded, weights = np.zeros((n, width + 2)), np.zeros((n, width + 2))
    padded[:, 1:-1], weights[:, 1:-1] = curve * valid, valid
    total = padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]
    weight = weights[:, :-2] + 2 * weights[:, 1:-1] + weights[:, 2:]
    result: Doubles = total / np.maximum(weight, 1.0) * valid
    return result


def clip_range(windows: Windows, spans: Doubles, step: float) -> Counts:
    """Return the clips (n, 2) of the window that each span covers, [first, last), at least one of them."""
    first = np.floor(spans[:, 0] / step + 1e-9).astype(np.int64) - windows.first
    last = np.ceil(spans[:, 1] / step - 1e-9).astype(np.int64) - windows.first
    first = np.clip(first, 0, np.maximum(windows.lengths - 1, 0))
    return np.stack([first, np.clip(last, first + 1, np.maximum(windows.lengths, 1))], axis=1)


def best_cut(curve: Doubles, lengths: Counts, inside: Counts, config: CurveConfig) -> Cut:
    """Choose each window's clips [first, last) of the largest sum above its level, touching `inside`.

    curve (n, l), lengths (n,) valid clips, inside (n, 2) the proposal's clips. Ties go to the earlier end,
    then the earlier start. A window without clips, or as high at its peak as in its background, is not clear.
    """
    n, width = curve.shape
    places = np.arange(width)
    valid = places < lengths[:, None]
    proposed = (places >= inside[:, :1]) & (places < inside[:, 1:]) & valid
    peak = np.where(proposed, curve, -np.inf).max(axis=1, initial=-np.inf)
    ordered = np.sort(np.where(valid, curve, np.inf), axis=1)
    low = (config.background * np.maximum(lengths - 1, 0)).astype(np.int64)
    background = ordered[np.arange(n), low] if width else np.full(n, np.inf)
    clear = peak > np.where(lengths > 0, background + FLAT, np.inf)
    rise = np.subtract(peak, background, out=np.zeros(n), where=clear)
    level = np.where(clear, background, 0.0) + config.level * rise
    sums = np.zeros((n, width + 1))
    np.cumsum(np.where(valid, curve - level[:, None], 0.0), axis=1, out=sums[:, 1:])
    # The sum of [m, k) is sums[k] - sums[m]: for every end k, the smallest sums[m] that may still begin it.
    may_begin = places < inside[:, 1:]
    begun = np.minimum.accumulate(np.where(may_begin, sums[:, :-1], np.inf), axis=1)
    may_end = valid & (places >= inside[:, :1])
    gain = np.where(may_end, sums[:, 1:] - begun, -np.inf)
    last = gain.argmax(axis=1) + 1 if width else np.ones(n, np.int64)
    earlier = may_begin & (places < last[:, None])
    first = np.where(earlier, sums[:, :-1], np.inf).argmin(axis=1) if width else np.zeros(n, np.int64)
    return Cut(first, last, clear)


def _cosines(query: Floats, features: FeatureMaps, name: str, windows: Windows) -> Doubles:
    """Return cosines with a stream's rows, (n, longest window), NaN where there is none but zeros."""
    stream = features.streams[name]
    starts = stream.starts[windows.videos] + windows.first
    # A stream may be shorter than the frames, never longer.
    there = np.minimum(stream.counts[windows.videos] - windows.first, windows.lengths)
    places = np.arange(int(windows.lengths.max(initial=0)))
    valid = places < there[:, None]
    rows = (starts[:, None] + places)[valid]
    found, length = np.zeros(len(rows)), np.zeros(len(rows))
    for begin in range(0, len(rows), CHUNK):
        part = stream.rows[rows[begin : begin + CHUNK]].astype(np.float32)
        found[begin : begin + CHUNK] = part @ query
        length[begin : begin + CHUNK] = np.sqrt(np.einsum("nd,nd->n", part, part))
    values = np.full(valid.shape, np.nan)
    values[valid] = np.divide(found, length, out=np.full_like(found, np.nan), where=length > 0)
    return values


def _ranked(
    query: RankQuery,
    cut: Cut,
    cosines: Doubles,
    curve: Doubles,
    windows: Windows,
    durations: Doubles,
    config: CurveConfig,
) -> Ranked:
    begins = windows.origins + cut.first * windows.steps
    ends = np.minimum(windows.origins + cut.last * windows.steps, durations)
    refined = cut.clear & (ends > begins)
    places = np.arange(curve.shape[1])
    chosen = (places >= cut.first[:, None]) & (places < np.minimum(cut.last, windows.lengths)[:, None])
    count = np.maximum(chosen.sum(axis=1), 1)
    fit = np.where(chosen, curve, 0.0).sum(axis=1) / count
    relevances = np.where(chosen, cosines, 0.0).sum(axis=1) / count
    coarse = standardised(query.scores.astype(np.float64), np.isfinite(query.scores))
    spans = np.where(refined[:, None], np.stack([begins, ends], axis=1), query.spans)
    scores = demoted(fit + config.coarse_weight * coarse, query.videos, spans, config.overlap)
    best = np.where(chosen, cosines, -np.inf).argmax(axis=1) if curve.size else cut.first
    seconds = np.where(refined, windows.origins + best * windows.steps, np.nan)
    return Ranked(NAME, spans, scores, relevances.astype(np.float32), refined, best=seconds)
