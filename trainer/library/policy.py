"""Which parts of a shard to merge, so that there are few and every video is rewritten seldom.

Sizes are living segments. Of the parts in order of size, those from one on are merged: the one for which what
follows is largest beside itself. So a part mostly grows by a multiple of itself whenever it is rewritten.
"""

from collections.abc import Sequence

from engine.entries import PartEntry

# A search visits every part of a shard.
MOST = 8
# Deleted videos cost a search as much as living ones.
DELETED = 0.2


def to_merge(parts: Sequence[PartEntry], room: int = 0, idle: bool = False) -> tuple[PartEntry, ...]:
    """Return parts of a shard to be merged into one now, () for none; one that is to lose its deleted videos.

    room: parts that are about to be added; with them there are to be MOST at most. idle: merge also where a
    part would at least double, and rewrite a part with more than a share of DELETED videos.
    """
    ordered = sorted(parts, key=lambda part: (-living_segments(part), part.id))
    over = len(ordered) + room - MOST
    # Merging from `last` on leaves room enough.
    last = len(ordered) - 1 - max(1, over)
    growth = [_growth(ordered, first) for first in range(last + 1)]
    if growth and (over > 0 or (idle and max(growth) >= 1)):
        return tuple(ordered[growth.index(max(growth)) :])
    worn = [part for part in ordered if deleted_share(part) > DELETED]
    return tuple(worn[:1]) if idle else ()


def living_segments(part: PartEntry) -> float:
    """Return about how many segments of a part live: it says how many videos do."""
    return part.segments * (1 - deleted_share(part))


def deleted_share(part: PartEntry) -> float:
    """Return the share of a part's videos that are deleted."""
    return sum(part.deleted[1::2]) / max(1, part.videos)


def _growth(ordered: Sequence[PartEntry], first: int) -> float:
    """Return by how much of itself a part grows when all smaller ones are merged into it."""
    smaller = sum(living_segments(part) for part in ordered[first + 1 :])
    return smaller / max(1.0, living_segments(ordered[first]))
