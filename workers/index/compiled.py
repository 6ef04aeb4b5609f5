"""The compiled part of a search in inverted lists of RaBitQ codes; `lists` calls it.

A code has one bit for every number of a row: whether it is above that of its list's centroid. The inner
product of a query with the row is estimated from the bits and two numbers behind them (RaBitQ, arXiv
2405.12497), by the formula of FAISS, whose searches are the oracle: the query's distances from the centroid
are rounded to 4 bits each, and the sum of those whose bit is set is four counts of bits.

Everything that is compiled stands in this file: numba's cache on disk notices changes of this file only.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from workers.compiling import compiled

_WORD, _NUMBER = ir.IntType(64), ir.IntType(32)
# Bits to which a query is rounded, and the bytes of the two numbers behind a code's bits.
QUERY_BITS, NUMBERS = 4, 8


def _loaded(builder: Any, address: Any, kind: Any) -> Any:
    """Read a value of whatever place: lists of a mapped file begin anywhere."""
    value = builder.load(builder.inttoptr(address, kind.as_pointer()))
    value.align = 1
    return value


def _reader(kind: Any, read: Any) -> Any:
    """Return an intrinsic: the number at an address."""

    def typed(context: Any, address: Any) -> Any:
        del context, address
        return kind(types.uint64), lambda _, builder, __, given: _loaded(builder, given[0], read)

    return intrinsic(typed)


_float_at, _row_at = _reader(types.float32, ir.FloatType()), _reader(types.int64, _WORD)


@intrinsic  # type: ignore[untyped-decorator]
def _plane(context: Any, address: Any, bit: Any) -> Any:
    """Return a word of whether a bit is set in each of the 64 bytes at an address."""
    del context, address, bit

    def emitted(_: Any, builder: Any, __: Any, given: Any) -> Any:
        kind = ir.VectorType(ir.IntType(8), 64)
        unknown, all_of_first = ir.Constant(kind, ir.Undefined), ir.VectorType(_NUMBER, 64)
        first = builder.insert_element(
            unknown, builder.trunc(given[1], ir.IntType(8)), ir.Constant(_NUMBER, 0)
        )
        bits = builder.shuffle_vector(first, unknown, ir.Constant(all_of_first, [0] * 64))
        met = builder.and_(_loaded(builder, given[0], kind), bits)
        return builder.bitcast(builder.icmp_unsigned("!=", met, ir.Constant(kind, [0] * 64)), _WORD)

    return types.uint64(types.uint64, types.uint64), emitted


@intrinsic  # type: ignore[untyped-decorator]
def _met(context: Any, code: Any, planes: Any, shape: Any) -> Any:
    """Return the sum of the query's numbers where a code's bits are set; above it, by 32 bits, their count.

    planes: the address of 4 planes of the query and one of the bits that there are. shape: a tuple with as
    many entries as a code has words: the loop over them is written out.
    """
    del context, code, planes

    def emitted(_: Any, builder: Any, __: Any, given: Any) -> Any:
        total, at = ir.Constant(_WORD, 0), 0
        for width in (8, 4, 2, 1):  # words at once
            while shape.count - at >= width:
                total = builder.add(total, _sum(builder, given[0], given[1], at, shape.count, width))
                at += width
        return total

    return types.uint64(types.uint64, types.uint64, shape), emitted


def _sum(builder: Any, code: Any, planes: Any, at: int, words: int, width: int) -> Any:
    """Write the instructions of `_met` for so many words from the one `at` on."""
    kind = ir.VectorType(_WORD, width) if width > 1 else _WORD
    name = f"v{width}i64" if width > 1 else "i64"
    ones = builder.module.declare_intrinsic(f"llvm.ctpop.{name}", (), ir.FunctionType(kind, [kind]))
    bits, found = _loaded(builder, builder.add(code, ir.Constant(_WORD, 8 * at)), kind), None
    for plane, shift in enumerate((*range(QUERY_BITS), 32)):
        place = builder.add(planes, ir.Constant(_WORD, 8 * (plane * words + at)))
        count = builder.call(ones, [builder.and_(bits, _loaded(builder, place, kind))])
        by = ir.Constant(kind, [shift] * width if width > 1 else shift)
        found = builder.shl(count, by) if found is None else builder.add(found, builder.shl(count, by))
    if width == 1:
        return found
    add = builder.module.declare_intrinsic(
        f"llvm.vector.reduce.add.{name}", (), ir.FunctionType(_WORD, [kind])
    )
    return builder.call(add, [found])


@compiled(fastmath=True)
def _rounded(query: Any, centroid: Any, levels: Any, planes: Any) -> Any:
    """Round the query's distances from a centroid into `planes`; `levels` is room for them, a byte each.

    Returns the least distance, the step of a level, the sum of squares, and the sum of all levels.
    """
    low, high, squares = np.float32(np.inf), np.float32(-np.inf), np.float32(0)
    for i in range(query.shape[0]):
        distance = query[i] - centroid[i]
        low, high = min(low, distance), max(high, distance)
        squares += distance * distance
    step = (high - low) / np.float32((1 << QUERY_BITS) - 1)
    inverse = np.float32(1) / step if step > 0 else np.float32(0)
    total = np.int32(0)
    for i in range(query.shape[0]):
        level = np.int32((query[i] - centroid[i] - low) * inverse + np.float32(0.5))
        levels[i] = np.uint8(level)
        total += level
    first = np.uint64(levels.ctypes.data)
    for word in range(planes.shape[1]):
        for bit in range(QUERY_BITS):
            planes[bit, word] = _plane(first + np.uint64(64 * word), np.uint64(1 << bit))
    return low, step, squares, total


@compiled()
def scan(
    codes_at: Any, rows_at: Any, sizes: Any, centroids: Any, query: Any, lists: Any, shape: Any, floor: Any,
    living: Any, out_estimates: Any, out_rows: Any, out_places: Any,
) -> Any:  # fmt: skip
    """Write what is above `floor` into the arrays that begin with out; return how many; see `Lists.scan`."""
    dim, found, masked = query.shape[0], 0, living.shape[0] > 0
    levels = np.zeros(64 * len(shape), np.uint8)
    planes = np.zeros((QUERY_BITS + 1, len(shape)), np.uint64)
    norm = np.float32(0)
    for i in range(dim):
        planes[QUERY_BITS, i // 64] |= np.uint64(1) << np.uint64(i % 64)
        norm += query[i] * query[i]
    planes_at, behind = np.uint64(planes.ctypes.data), np.uint64((dim + 7) // 8)
    root = np.float32(1 / np.sqrt(dim))
    for place in range(lists.shape[0]):
        number = lists[place]
        if number < 0 or sizes[number] == 0:
            continue
        low, step, squares, total = _rounded(query, centroids[number], levels, planes)
        less = root * (step * np.float32(total) + np.float32(dim) * low)
        by_level, by_bit = np.float32(2) * step * root, np.float32(2) * low * root
        code = codes_at[number]
        for i in range(sizes[number]):
            met = _met(code, planes_at, shape)
            product = by_level * np.float32(np.int32(met & np.uint64(0xFFFFFFFF))) - less
            product += by_bit * np.float32(np.int32(met >> np.uint64(32)))
            own, scale = _float_at(code + behind), _float_at(code + behind + np.uint64(4))
            estimate = np.float32(0.5) * (norm - own - squares) + scale * product
            code += behind + np.uint64(NUMBERS)
            if estimate > floor:
                row = _row_at(rows_at[number] + np.uint64(8 * i))
                if not masked or living[row]:
                    out_estimates[found], out_rows[found], out_places[found] = estimate, row, place
                    found += 1
    return found
