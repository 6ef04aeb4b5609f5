"""The constants of a plan, each with its source, and what they say of one index, shard or hour of video."""

import functools
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import InvalidInput
from engine.files import read_json
from workers.index.factory import CODES, recipe

FILE = Path(__file__).with_name("constants.json")
SEGMENT_SECONDS = 4.0
# The width and the largest shard that figures were measured at.
MEASURED_DIM = 768
MEASURED_SEGMENTS = 3_200_000
INDEXES = ("auto", "fast", "flat")
CONTEXTS = {"float16": 2, "int8": 1, "int5": 2 / 3, "none": 0}  # bytes a number
_HALF, _FLOAT = 2, 4


@functools.cache
def constants() -> Mapping[str, Any]:
    """Return constants.json: of each name `value`, `what`, `source`."""
    return dict(read_json(FILE, dict))


def constant(name: str) -> Any:
    """Return the value of a constant."""
    return constants()[name]["value"]


@dataclass(frozen=True, slots=True)
class EncoderCost:
    """An encoder. picture_cpu_s: CPU seconds a picture. picture_flops: None where not known."""

    name: str
    dim: int
    picture_cpu_s: float
    picture_flops: float | None = None
    text_mb: float = 124.0

    @staticmethod
    def named(name: str) -> "EncoderCost":
        """Return an encoder of the table; InvalidInput for another."""
        table = constant("encoders")
        if name not in table:
            raise InvalidInput(
                f"the cost of encoder {name!r} is not known: name {' or '.join(table)}, or a directory, "
                "which is measured here."
            )
        return EncoderCost(name, **table[name])


@dataclass(frozen=True, slots=True)
class ShardCost:
    """One shard's index. search_ms: on one thread. memory_mb: codes and originals; disk alike.

    measured: the largest size that its kind was measured at, in segments of MEASURED_DIM.
    """

    factory: str
    search_ms: float
    memory_mb: float
    measured: int


def shard(index: str, dim: int, segments: int, shards: int) -> ShardCost:
    """Return what the largest of `shards` costs, of a corpus of `segments` of width `dim`."""
    if index not in INDEXES:
        raise InvalidInput(f"index {index!r} has no measured cost; choose {', '.join(INDEXES)}.")
    factory = recipe(index, dim, segments, shards).label
    n = -(-segments // shards)
    lists = factory.startswith("IVF")
    kind = "fast" if index == "fast" else "lists" if lists else "scan" if factory == CODES else "flat"
    points = constant(f"{kind}_ms")
    found = interpolated(points, n, list_exponent() if lists else 1.0) * dim / MEASURED_DIM
    # Codes are a bit a number and two floats, in lists with the row's id; all rows have two int32 in tables.
    codes = dim / 8 + 8 + 8 * lists + dim * _HALF
    each = (dim * _FLOAT if factory == "Flat" else codes) + 8
    return ShardCost(factory, found, each * n / 1e6, int(points[-1][0]))


def list_exponent() -> float:
    """Return the power of its size by which the latency of an index of lists grows."""
    (n, a), (m, b) = constant("lists_ms")[-2:]
    return float(math.log(b / a) / math.log(m / n))


def interpolated(points: Sequence[Sequence[float]], n: float, power: float) -> float:
    """Return the value at `n`: linear between points, below the first and beyond the last by a power of n."""
    first, last = points[0], points[-1]
    if n <= first[0] or n >= last[0]:
        nearest = first if n <= first[0] else last
        return nearest[1] * float((n / nearest[0]) ** power)
    for (a, low), (b, high) in itertools.pairwise(points):
        if n <= b:
            return low + (high - low) * (n - a) / (b - a)
    raise ValueError("points are not in order")


@dataclass(frozen=True, slots=True)
class HourCost:
    """MB that an hour of video takes, without its index. part: features in the parts. store: beside them."""

    part_mb: float
    contexts_mb: float
    store_mb: float


def hour(dim: int, hidden: int, contexts: str, fps: float = 1.0) -> HourCost:
    """Return what an hour takes: pictures and subtitles at `fps`, contexts of two streams a row."""
    rows = 3600 * fps
    features = 2 * rows * dim * _HALF / 1e6
    looks = 64 * 3600 / 1e6
    # Lengths of the vectors, and scales of whole numbers, are half floats.
    width = CONTEXTS[contexts]
    each = width and hidden * width + (2 if width == _HALF else 4)
    return HourCost(features + looks, 2 * rows * each / 1e6, features + constant("pictures_mb"))
