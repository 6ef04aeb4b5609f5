"""Validation of part.json and of versions/N.json."""

from collections.abc import Mapping
from itertools import pairwise

from engine.entries import Part, PartEntry, StreamEntry, Version
from engine.errors import InvalidInput


def check_part(part: Part, source: str) -> None:
    """Refuse (InvalidInput) a part's values out of range, with the name of the field."""
    numbers = {"dim": part.dim, "segment_length": part.segment_length} | _of_streams(part.streams)
    wrong = [f"{name} = {number}" for name, number in numbers.items() if not number > 0]
    wrong += [f"files.{name}" for name in part.files if name.startswith("/") or ".." in name.split("/")]
    wrong += [f"files.{name}" for name, entry in part.files.items() if entry.bytes < 0]
    wrong += [f"metric = {part.metric!r}"] if part.metric != "ip" else []
    wrong += ["videos"] if min(part.videos, part.segments) < 0 else []
    if wrong:
        raise InvalidInput(f"{source}: no part has {wrong[0]}.")


def check_version(version: Version, source: str) -> None:
    """Refuse (InvalidInput) a version's values out of range, with the name of the field."""
    numbers: dict[str, float] = {
        "number": version.number,
        "dim": version.dim,
        "segment_length": version.segment_length,
        "shards": len(version.shards),
    } | _of_streams(version.streams)
    wrong = [f"{name} = {number}" for name, number in numbers.items() if not number > 0]
    counts = [(shard.videos, shard.segments) for shard in version.shards]
    sums = (sum(videos for videos, _ in counts), sum(segments for _, segments in counts))
    if sums != (version.videos, version.segments):
        wrong.append(f"videos, segments = {version.videos}, {version.segments}, its shards have {sums}")
    wrong += [f"shards.{shard.name}" for shard in version.shards if min(shard.videos, shard.segments) < 0]
    listed = [part.id for part in version.parts]
    wrong += [f"part {part!r} twice" for part in sorted({one for one in listed if listed.count(one) > 1})]
    wrong += [f"deleted of part {part.id}" for part in version.parts if not _are_runs(part)]
    wrong += [f"metric = {version.metric!r}"] if version.metric != "ip" else []
    if wrong:
        raise InvalidInput(f"{source}: no version has {wrong[0]}.")


def _are_runs(part: PartEntry) -> bool:
    """Tell whether a part's deleted videos are runs that ascend, do not touch, and lie inside the part."""
    runs = list(zip(part.deleted[0::2], part.deleted[1::2], strict=False))
    ends = [(-1, 0), *runs, (part.videos + 1, 1)]
    apart = all(first + count < after for (first, count), (after, _) in pairwise(ends))
    return len(part.deleted) % 2 == 0 and apart and all(count > 0 for _, count in runs)


def _of_streams(streams: Mapping[str, StreamEntry]) -> dict[str, float]:
    numbers: dict[str, float] = {}
    for name, stream in streams.items():
        numbers |= {f"streams.{name}.dim": stream.dim, f"streams.{name}.step": stream.step}
    return numbers
