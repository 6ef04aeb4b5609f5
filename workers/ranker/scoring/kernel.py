"""Ranking against stored contexts, fused: from rows of the store to evidence in one pass over the memory.

For every proposal: dot products of its window's rows with the query's four vectors, the best cosines, clip
similarities, two small filters, log-softmax, the most probable span, and what is measured in and around it.
The readable form is `evidence.judge`. Compiled by numba, without the GIL; threads share the proposals.

Everything that is compiled stands in this file: numba's cache on disk notices changes of this file only.
"""

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import llvmlite.binding
import numba
import numpy as np
from llvmlite import ir
from numba.extending import intrinsic
from numpy.typing import NDArray

from engine.cores import cores
from engine.types import Floats
from workers.ranker.scoring.evidence import Evidence, Heads, Jobs, QueryVectors
from workers.ranker.stores.contexts import SUBTITLE, VIDEO, EncodedStore
from workers.ranker.stores.joined import bases_of, owners

# Fewer clips than this are not worth a turn of their own, and a thread takes about so many turns.
FEW_CLIPS = 512
TURNS = 4


def supported() -> bool:
    """Tell whether this CPU reads half-precision numbers; without it the readable form is used."""
    if llvmlite.binding.get_default_triple().startswith("x86_64"):
        return bool(llvmlite.binding.get_host_cpu_features().get("f16c", False))
    return True


@dataclass(slots=True)
class Kernel:
    """The compiled kernel over one store; several callers may score at once. threads: 0 for one a core.

    The windows of a store of several parts are scored part by part, each from the part's own arrays.
    """

    store: EncodedStore
    threads: int = 0
    _pool: ThreadPoolExecutor = field(init=False)
    _parts: list[tuple[NDArray[Any], ...]] = field(init=False)
    _bases: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        self.threads = self.threads or cores()
        self._pool = ThreadPoolExecutor(max(1, self.threads - 1), thread_name_prefix="kernel")
        video, subtitle = (self.store.streams[name].parts() for name in (VIDEO, SUBTITLE))
        self._parts = [(*_bits(*one), *_bits(*other)) for one, other in zip(video, subtitle, strict=True)]
        self._bases = bases_of([part[0] for part in self._parts])

    def score(self, queries: QueryVectors, jobs: Jobs, heads: Heads) -> Evidence:
        """Return the evidence of every job, in order. The first call of a process compiles, for seconds."""
        parts = owners(self._bases, jobs.rows)
        order = np.argsort(parts, kind="stable") if len(self._parts) > 1 else slice(None)
        parts, jobs = parts[order], jobs.take(order)
        found = Evidence.empty(len(jobs))
        vectors = (queries.unit_video, queries.linear_video, queries.unit_subtitle, queries.linear_subtitle)
        filters = (heads.start, heads.end, *_tables(heads), heads.min_span, heads.max_span)
        columns = (jobs.rows - self._bases[parts], jobs.lengths, jobs.first, jobs.last, jobs.queries)
        turns = iter(shares := self._shares(jobs.lengths, parts))

        def work() -> None:
            for share in turns:  # shared: every one goes to whoever is free first
                out = found.cut(share)
                _score(
                    *(*self._parts[parts[share.start]], *vectors, *filters),
                    *(column[share] for column in columns),
                    *(out.start, out.end, out.log_start, out.log_end),
                    *(out.relevance, out.span_relevance, out.contrast, out.best),
                )

        helpers = [self._pool.submit(work) for _ in range(min(self.threads, len(shares)) - 1)]
        work()
        for helper in helpers:
            # A helper that never started can be cancelled: all shares are taken.
            if not helper.cancel():
                helper.result()
        return found.moved(order)

    def _shares(self, lengths: NDArray[np.int64], parts: NDArray[np.int64]) -> list[slice]:
        """Split jobs into ranges of about as many clips, each of one part; parts: (n,) ascending."""
        clips = np.cumsum(lengths)
        total = int(clips[-1]) if len(clips) else 0
        count = max(1, min(TURNS * self.threads, total // FEW_CLIPS)) if self.threads > 1 else 1
        borders = np.searchsorted(clips, np.arange(1, count) * total / count, side="left") + 1
        between = np.flatnonzero(np.diff(parts)) + 1
        edges = np.unique([0, *np.minimum(borders, len(lengths)), *between, len(lengths)]).tolist()
        return [slice(begin, end) for begin, end in itertools.pairwise(edges)]


def _bits(*arrays: NDArray[Any] | None) -> list[NDArray[Any]]:
    """Return rows, norms and scales as the kernel takes them: half-precision numbers as their bits."""
    given = (np.zeros(0, np.float16) if array is None else array for array in arrays)
    return [array.view(np.uint16) if array.dtype == np.float16 else array for array in given]


def _tables(heads: Heads) -> tuple[Floats, Floats, Floats]:
    if heads.biases is None:
        return (np.zeros(1, np.float32),) * 3
    return heads.biases.start, heads.biases.end, heads.biases.clip


def _compiled(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Return a decorator that compiles; on disk it keeps what it can, which nothing depends on."""

    def compiled(function: Callable[..., Any]) -> Any:
        try:
            return numba.njit(nogil=True, cache=True, **options)(function)
        except RuntimeError:  # nowhere to write: a read-only installation without a home
            return numba.njit(nogil=True, **options)(function)

    return compiled


def _widen(context: Any, value: Any) -> Any:
    """Half precision, given by its bits, or a signed byte, as float32: one vector instruction for many."""
    del context

    def half(_: Any, builder: Any, __: Any, arguments: Any) -> Any:
        return builder.fpext(builder.bitcast(arguments[0], ir.HalfType()), ir.FloatType())

    def byte(_: Any, builder: Any, __: Any, arguments: Any) -> Any:
        return builder.sitofp(arguments[0], ir.FloatType())

    known = {numba.uint16: half, numba.int8: byte}
    return (numba.float32(value), known[value]) if value in known else None


_wide = intrinsic(_widen)


@_compiled(fastmath=True)
def _meet(row: Any, unit: Any, linear: Any) -> Any:
    """Return the dot products of a row with two vectors. Sums may be reordered here, and only here."""
    cosine, similarity = numba.float32(0.0), numba.float32(0.0)
    for i in range(unit.shape[0]):
        value = _wide(row[i])
        cosine += value * unit[i]
        similarity += value * linear[i]
    return cosine, similarity


@_compiled()
def _at(table: Any, distance: int) -> Any:
    reach = table.shape[0] // 2
    return table[min(max(distance, -reach), reach) + reach]


@_compiled()
def _logits(r: Any, n: int, taps: Any, table: Any, zero: int, out: Any) -> None:
    """Filter r[:n] with zeros on both sides, add the bias, and make log-probabilities of it."""
    half = taps.shape[0] // 2
    highest = -np.inf
    for place in range(n):
        total = numba.float32(0.0)
        for tap in range(max(0, half - place), min(taps.shape[0], n + half - place)):
            total += taps[tap] * r[place + tap - half]
        out[place] = total + _at(table, place - zero)
        highest = max(highest, out[place])
    mass = 0.0
    for place in range(n):
        mass += np.exp(out[place] - highest)
    for place in range(n):
        out[place] -= highest + np.log(mass)


@_compiled()
def _best_span(log_start: Any, log_end: Any, n: int, shortest: int, longest: int) -> Any:
    best, start, end = -np.inf, 0, -1
    for m in range(n):
        for k in range(m + shortest - 1, min(m + longest, n)):
            if log_start[m] + log_end[k] > best:
                best, start, end = log_start[m] + log_end[k], m, k
    return start, end


@_compiled()
def _measure(cosines: Any, r: Any, n: int, start: int, end: int) -> Any:
    """Return S of the window, S of the span, the contrast of r, and the span's best clip."""
    best = np.full(4, -np.inf, np.float32)
    inside, outside, shown = 0.0, 0.0, start
    for place in range(n):
        spanned = start <= place <= end
        for stream in range(2):
            best[stream] = max(best[stream], cosines[stream, place])
            if spanned:
                best[2 + stream] = max(best[2 + stream], cosines[stream, place])
        if spanned:
            inside += r[place]
            shown = place if cosines[2, place] > cosines[2, shown] else shown
        else:
            outside += r[place]
    span = end - start + 1
    relevance = (best[0] + best[1]) / numba.float32(2)
    if span < 1:
        return relevance, relevance, 0.0, -1
    contrast = inside / span - outside / (n - span) if n > span else 0.0
    return relevance, (best[2] + best[3]) / numba.float32(2), contrast, shown


@_compiled()
def _score(  # every argument an array, so that nothing is boxed on the way
    video: Any, video_norms: Any, video_scales: Any, words: Any, words_norms: Any, words_scales: Any,
    unit_video: Any, linear_video: Any, unit_words: Any, linear_words: Any,
    start_taps: Any, end_taps: Any, start_bias: Any, end_bias: Any, clip_bias: Any,
    shortest: int, longest: int,
    rows: Any, lengths: Any, firsts: Any, lasts: Any, queries: Any,
    out_start: Any, out_end: Any, out_log_start: Any, out_log_end: Any,
    out_relevance: Any, out_span_relevance: Any, out_contrast: Any, out_best: Any,
) -> None:  # fmt: skip
    width = 1
    for job in range(rows.shape[0]):
        width = max(width, lengths[job])
    cosines, r = np.empty((3, width), np.float32), np.empty(width, np.float32)
    log_start, log_end = np.empty(width), np.empty(width)
    for job in range(rows.shape[0]):
        n, q = lengths[job], queries[job]
        if n < 1:
            continue
        for place in range(n):
            row = rows[job] + place
            cosine, similarity = _meet(video[row], unit_video[q], linear_video[q])
            spoken, fit = _meet(words[row], unit_words[q], linear_words[q])
            similarity *= _wide(video_norms[row])
            fit *= _wide(words_norms[row])
            if video_scales.shape[0] > 0:
                scale, other = _wide(video_scales[row]), _wide(words_scales[row])
                cosine, similarity = cosine * scale, similarity * scale
                spoken, fit = spoken * other, fit * other
            shift = _at(clip_bias, min(place - firsts[job], 0) + max(place - lasts[job], 0))
            cosines[0, place], cosines[1, place], cosines[2, place] = cosine + shift, spoken + shift, cosine
            r[place] = (similarity + fit) / numba.float32(2)
        _logits(r, n, start_taps, start_bias, firsts[job], log_start)
        _logits(r, n, end_taps, end_bias, lasts[job], log_end)
        start, end = _best_span(log_start, log_end, n, shortest, longest)
        measured = _measure(cosines, r, n, start, end)
        out_relevance[job], out_span_relevance[job], out_contrast[job], out_best[job] = measured
        out_start[job], out_end[job] = start, end
        if end >= start:
            out_log_start[job], out_log_end[job] = log_start[start], log_end[end]
