"""Changes of a version's shards: pure functions from shard entries to shard entries."""

import dataclasses
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from engine.entries import PartEntry, ShardEntry, runs_of

Shards = tuple[ShardEntry, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a living video lies: its part, its number in there, and how many segments it has."""

    part: str
    number: int
    segments: int


def deal(shards: Sequence[ShardEntry], counts: Iterable[int]) -> list[int]:
    """Return the number of a shard for each of some videos: always the one with the fewest living segments.

    counts: segments of each video.
    """
    loads = [shard.segments for shard in shards]
    dealt = []
    for count in counts:
        dealt.append(loads.index(min(loads)))
        loads[dealt[-1]] += count
    return dealt


def with_part(shards: Sequence[ShardEntry], number: int, part: PartEntry) -> Shards:
    """Return the shards with a new part, nothing of it deleted, in one of them.

    A part that is listed already is one whose videos were all deleted and came back, maybe to another shard:
    all of it lives again. ValueError where it is listed with a living video.
    """
    for shard in shards:
        for one in shard.parts:
            if one.id == part.id and sum(one.deleted[1::2]) != one.videos:
                raise ValueError(f"part {part.id} is listed already, in {shard.name}")
    others = tuple(
        dataclasses.replace(shard, parts=tuple(one for one in shard.parts if one.id != part.id))
        for shard in shards
    )
    shard = others[number]
    grown = ShardEntry(
        shard.name, shard.videos + part.videos, shard.segments + part.segments, (*shard.parts, part)
    )
    return _replaced(others, grown)


def without(shards: Sequence[ShardEntry], places: Iterable[Place]) -> Shards:
    """Return the shards with some living videos deleted; a part without a living one is no longer listed.

    But for the last of all parts: further ones are made as it was. ValueError for a video that does not live.
    """
    by_part: dict[str, list[Place]] = defaultdict(list)
    for place in places:
        by_part[place.part].append(place)
    changed = tuple(_without(shard, by_part) for shard in shards)
    if by_part:
        raise ValueError(f"part {next(iter(by_part))} is not listed")
    living = tuple(
        dataclasses.replace(shard, parts=tuple(one for one in shard.parts if not _is_dead(one)))
        for shard in changed
    )
    return living if any(shard.parts for shard in living) else _with_one(changed)


def merged(shards: Sequence[ShardEntry], parts: Collection[str], into: PartEntry | None) -> Shards:
    """Return the shards with one part in place of some parts of one shard; what lives stays the same.

    into: None where nothing of them lives. ValueError for parts of several shards, or where it holds other
    than what lives.
    """
    shard = next((one for one in shards if set(parts) <= {part.id for part in one.parts}), None)
    if shard is None or not parts:
        raise ValueError(f"{sorted(parts)} are not parts of one shard")
    old = [part for part in shard.parts if part.id in parts]
    living = sum(part.videos - sum(part.deleted[1::2]) for part in old)
    if living != (into.videos if into else 0):
        raise ValueError(f"{living} videos live in {sorted(parts)}, not {into.videos if into else 0}")
    kept = [part for part in shard.parts if part.id not in parts]
    return _replaced(shards, dataclasses.replace(shard, parts=(*kept, *([into] if into else []))))


def _without(shard: ShardEntry, by_part: dict[str, list[Place]]) -> ShardEntry:
    parts: list[PartEntry] = []
    videos, segments = shard.videos, shard.segments
    for part in shard.parts:
        gone = by_part.pop(part.id, [])
        before = part.deleted_videos().tolist()
        deleted = runs_of([*before, *(place.number for place in gone)])
        count = sum(deleted[1::2])
        if count != len(before) + len(gone) or (gone and max(p.number for p in gone) >= part.videos):
            raise ValueError(f"part {part.id} has not the living videos {[place.number for place in gone]}")
        videos -= len(gone)
        segments -= sum(place.segments for place in gone)
        parts.append(dataclasses.replace(part, deleted=deleted))
    return ShardEntry(shard.name, videos, segments, tuple(parts))


def _is_dead(part: PartEntry) -> bool:
    return part.videos > 0 and sum(part.deleted[1::2]) == part.videos


def _with_one(shards: Shards) -> Shards:
    """Return the shards with the first of all their parts alone."""
    first = next((part for shard in shards for part in shard.parts), None)
    return tuple(
        dataclasses.replace(shard, parts=tuple(part for part in shard.parts if part is first))
        for shard in shards
    )


def _replaced(shards: Sequence[ShardEntry], changed: ShardEntry) -> Shards:
    return tuple(changed if shard.name == changed.name else shard for shard in shards)
