"""Filters <-> messages: a caller's, and what a shard is told of them."""

import math
from collections.abc import Sequence

import numpy as np
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from engine import wire
from engine.errors import InvalidInput
from engine.filters import Allowed, Filter, Mask, Range, Stretch
from engine.types import Ordinals
from spr.internal.v1 import index_shard_service_pb2 as shard_pb
from spr.v1 import search_service_pb2 as search_pb

MOST_VIDEOS, MOST_LABELS, LONGEST_FOLDER = 10_000, 100, 1000
# 10000 years.
_FARTHEST = 315_576_000_000


def filter_from_pb(message: search_pb.Filter) -> Filter:
    """Return a caller's filter; InvalidInput names the field that cannot be."""
    if len(message.folder) > LONGEST_FOLDER:
        raise _bad("folder", f"has {len(message.folder)} characters; send at most {LONGEST_FOLDER}")
    dates = _range(
        "before_date",
        _date(message, "from_date", -math.inf),
        _date(message, "before_date", math.inf),
    )
    durations = _range(
        "max_duration",
        _duration(message, "min_duration", -math.inf),
        _duration(message, "max_duration", math.inf),
    )
    return Filter(
        videos=_names(message.video_ids, "video_ids", MOST_VIDEOS),
        any_labels=_names(message.any_labels, "any_labels", MOST_LABELS),
        all_labels=_names(message.all_labels, "all_labels", MOST_LABELS),
        no_labels=_names(message.no_labels, "no_labels", MOST_LABELS),
        folder=message.folder,
        dates=dates,
        durations=durations,
        stretch=_stretch(message),
    )


def lifted(message: search_pb.Filter) -> Filter | None:
    """Return a filter that may have been lifted out of a text; None for one that lets everything through."""
    return filter_from_pb(message) if message.ByteSize() else None


def _names(given: Sequence[str], field: str, most: int) -> frozenset[str]:
    if len(given) > most:
        raise _bad(field, f"has {len(given)} entries; send at most {most}")
    if "" in given:
        raise _bad(field, "has an empty entry; leave it out")
    return frozenset(given)


def _date(message: search_pb.Filter, field: str, absent: float) -> float:
    if not message.HasField(field):  # type: ignore[arg-type]
        return absent
    return _seconds(getattr(message, field), field, -_FARTHEST)


def _duration(message: search_pb.Filter, field: str, absent: float) -> float:
    if not message.HasField(field):  # type: ignore[arg-type]
        return absent
    return _seconds(getattr(message, field), field, 0)


def _seconds(given: Duration | Timestamp, field: str, least: int) -> float:
    if not 0 <= given.nanos < 1_000_000_000:
        raise _bad(f"{field}.nanos", f"is {given.nanos}; it must lie in 0..999999999")
    if not least <= given.seconds <= _FARTHEST:
        raise _bad(f"{field}.seconds", f"is {given.seconds}; it must lie in {least}..{_FARTHEST}")
    return float(given.seconds + given.nanos / 1e9)


def _range(field: str, low: float, high: float) -> Range:
    if low > high:
        raise _bad(field, "ends before it begins: nothing can lie in it")
    return low, high


def _stretch(message: search_pb.Filter) -> Stretch:
    kind = message.WhichOneof("part")
    if kind == "span":
        span = message.span
        start = _seconds(span.start_offset, "span.start_offset", 0)
        end = _seconds(span.end_offset, "span.end_offset", 0) if span.HasField("end_offset") else math.inf
        if start >= end:
            raise _bad("span.end_offset", f"is {end:g} s; it must lie behind the start, {start:g} s")
        return Stretch(start, end)
    if kind == "share":
        start, end = message.share.start, message.share.end if message.share.HasField("end") else 1.0
        # Written so that NaN fails.
        if not 0 <= start < 1:
            raise _bad("share.start", f"is {start:g}; it must be 0 or more and below 1")
        if not start < end <= 1:
            raise _bad("share.end", f"is {end:g}; it must lie behind the start, {start:g}, and be at most 1")
        return Stretch(start, end, shares=True)
    return Stretch()


def _bad(field: str, what: str) -> InvalidInput:
    return InvalidInput(f"filter.{field} {what}", field=f"filter.{field}")


def allowed_to_pb(allowed: Allowed, ordinals: Ordinals) -> shard_pb.Allowed | None:
    """Return what a shard is told that holds the videos `ordinals`, ascending; None where it has nothing."""
    mask = allowed.videos[ordinals]
    count = int(mask.sum())
    if not count:
        return None
    stretch = allowed.stretch
    message = shard_pb.Allowed(start=stretch.start, end=stretch.end, shares=stretch.shares)
    if 4 * count < len(mask) / 8:
        message.ordinals = wire.ints_to_bytes(ordinals[mask])
    else:
        message.bitmap = np.packbits(mask, bitorder="little").tobytes()
    return message


def allowed_from_pb(message: shard_pb.Allowed, ordinals: Ordinals) -> tuple[Mask, Stretch]:
    """Return (m,) which videos of the shard that holds `ordinals` may be found, and the part of each.

    InvalidInput for a message that no coordinator sends.
    """
    start, end = message.start, message.end or math.inf
    if not 0 <= start < end:
        raise InvalidInput(f"allowed is from {start:g} to {end:g}", field="allowed.end")
    stretch = Stretch(start, end, message.shares)
    mask = np.zeros(len(ordinals), np.bool_)
    if message.WhichOneof("videos") == "ordinals":
        wanted = wire.ints_from_bytes(message.ordinals, "allowed.ordinals")
        places = np.searchsorted(ordinals, wanted)
        if not len(ordinals) or (places >= len(ordinals)).any() or (ordinals[places] != wanted).any():
            raise InvalidInput("allowed names videos that the shard has not", field="allowed.ordinals")
        mask[places] = True
        return mask, stretch
    if len(message.bitmap) != -(-len(ordinals) // 8):
        given = f"{len(message.bitmap)} bytes for {len(ordinals)} videos"
        raise InvalidInput(f"the bitmap has {given}", field="allowed.bitmap")
    bits = np.unpackbits(np.frombuffer(message.bitmap, np.uint8), bitorder="little")
    return bits[: len(ordinals)].astype(np.bool_), stretch
