"""Purging: what is deleted leaves the disk at once."""

from pathlib import Path

from engine import versions
from trainer.generation.garbage import collect_garbage
from trainer.library.compacting import compact
from trainer.library.steps import Change, OnProgress, nothing


def purge(collection: Path, on_progress: OnProgress = nothing) -> Change:
    """Write every part with deleted videos anew without them, and remove versions and parts of before.

    Versions that a service holds stay until it drops them: the next garbage run removes those. The caller
    holds the writer's lock.
    """
    count = 0
    for shard in versions.read(collection).shards:
        worn = [part.id for part in shard.parts if part.deleted]
        if worn:
            count += compact(collection, shard.name, worn, on_progress).parts
    collect_garbage(collection, 1)
    return Change(versions.current(collection), parts=count)
