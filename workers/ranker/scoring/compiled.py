"""The compiled part of ranking against stored contexts; `kernel` calls it.

For every proposal: dot products of its window's rows with the query's four vectors, the best cosines, clip
similarities, two small filters, log-softmax, the most probable span, and what is measured in and around it.
Compiled by numba, without the GIL.

Everything that is compiled stands in this file: numba's cache on disk notices changes of this file only.
"""

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba.extending import intrinsic, overload

from workers.compiling import compiled


def _reader(known: dict[Any, Callable[[Any, Any], Any]]) -> Any:
    """Return an intrinsic: a stored number as float32, by its type; one vector instruction for many."""

    def typed(context: Any, value: Any) -> Any:
        del context

        def emitted(_: Any, builder: Any, __: Any, arguments: Any) -> Any:
            return known[value](builder, arguments[0])

        return (numba.float32(value), emitted) if value in known else None

    return intrinsic(typed)


def _half(builder: Any, value: Any) -> Any:
    return builder.fpext(builder.bitcast(value, ir.HalfType()), ir.FloatType())


def _signed(builder: Any, value: Any) -> Any:
    return builder.sitofp(value, ir.FloatType())


def _shifted(places: int) -> Any:
    """Return a reader of one of the three numbers of an int16; see `rounding.unpacked`."""

    def read(builder: Any, value: Any) -> Any:
        return _signed(builder, builder.shl(value, ir.IntType(16)(places)))

    return _reader({numba.int16: read})


# Half precision is given by its bits.
_wide = _reader({numba.uint16: _half, numba.int8: _signed})
_first, _second, _last = (_shifted(places) for places in (11, 6, 0))


def _meet(rows: Any, begin: Any, unit: Any, linear: Any, out: Any) -> None:
    """Write the dot products of rows from `begin` with two vectors into out (2, n).

    Sums may be reordered here, and only here.
    """


@overload(_meet, jit_options={"fastmath": True, "nogil": True})  # type: ignore[untyped-decorator]
def _meeting(rows: Any, begin: Any, unit: Any, linear: Any, out: Any) -> Any:
    del begin, unit, linear, out
    return _meet_packed if rows.dtype == numba.int16 else _meet_whole


def _meet_whole(rows: Any, begin: Any, unit: Any, linear: Any, out: Any) -> None:
    for place in range(out.shape[1]):
        row = rows[begin + place]
        cosine, similarity = numba.float32(0.0), numba.float32(0.0)
        for i in range(unit.shape[0]):
            value = _wide(row[i])
            cosine += value * unit[i]
            similarity += value * linear[i]
        out[0, place], out[1, place] = cosine, similarity


def _meet_packed(rows: Any, begin: Any, unit: Any, linear: Any, out: Any) -> None:
    # Unsigned: an index that may be negative keeps the loop from becoming vector instructions.
    third = numba.uint64(rows.shape[1])
    for place in range(0, out.shape[1], 2):
        # Two rows together: reading the query costs more than unpacking them.
        other = min(place + 1, out.shape[1] - 1)
        row, next_row = rows[begin + place], rows[begin + other]
        cosine, similarity = numba.float32(0.0), numba.float32(0.0)
        next_cosine, next_similarity = numba.float32(0.0), numba.float32(0.0)
        for i in range(third):
            one, two, three = _first(row[i]), _second(row[i]), _last(row[i])
            cosine += one * unit[i] + two * unit[third + i] + three * unit[third + third + i]
            similarity += one * linear[i] + two * linear[third + i] + three * linear[third + third + i]
            one, two, three = _first(next_row[i]), _second(next_row[i]), _last(next_row[i])
            next_cosine += one * unit[i] + two * unit[third + i] + three * unit[third + third + i]
            next_similarity += one * linear[i] + two * linear[third + i] + three * linear[third + third + i]
        out[0, place], out[1, place] = cosine, similarity
        out[0, other], out[1, other] = next_cosine, next_similarity


@compiled()
def _at(table: Any, distance: int) -> Any:
    reach = table.shape[0] // 2
    return table[min(max(distance, -reach), reach) + reach]


@compiled()
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


@compiled()
def _best_span(log_start: Any, log_end: Any, n: int, shortest: int, longest: int) -> Any:
    best, start, end = -np.inf, 0, -1
    for m in range(n):
        for k in range(m + shortest - 1, min(m + longest, n)):
            if log_start[m] + log_end[k] > best:
                best, start, end = log_start[m] + log_end[k], m, k
    return start, end


@compiled()
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


@compiled()
def score_windows(  # every argument an array, so that nothing is boxed on the way
    video: Any, video_norms: Any, video_scales: Any, words: Any, words_norms: Any, words_scales: Any,
    unit_video: Any, linear_video: Any, unit_words: Any, linear_words: Any,
    start_taps: Any, end_taps: Any, start_bias: Any, end_bias: Any, clip_bias: Any,
    shortest: int, longest: int,
    rows: Any, lengths: Any, firsts: Any, lasts: Any, queries: Any,
    out_start: Any, out_end: Any, out_log_start: Any, out_log_end: Any,
    out_relevance: Any, out_span_relevance: Any, out_contrast: Any, out_best: Any,
) -> None:  # fmt: skip
    """Write the evidence of every job into the arrays that begin with out; see `kernel.Kernel.score`."""
    width = max(1, np.max(lengths)) if lengths.shape[0] else 1
    cosines, r = np.empty((3, width), np.float32), np.empty(width, np.float32)
    seen, said = np.empty((2, 2, width), np.float32)
    log_start, log_end = np.empty(width), np.empty(width)
    for job in range(rows.shape[0]):
        n, q = lengths[job], queries[job]
        if n < 1:
            continue
        _meet(video, rows[job], unit_video[q], linear_video[q], seen[:, :n])
        _meet(words, rows[job], unit_words[q], linear_words[q], said[:, :n])
        for place in range(n):
            row = rows[job] + place
            cosine, similarity = seen[0, place], seen[1, place] * _wide(video_norms[row])
            spoken, fit = said[0, place], said[1, place] * _wide(words_norms[row])
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
