"""Purging: what is deleted leaves the disk at once."""

from pathlib import Path

from engine import versions
from engine.corpus import Corpus, open_corpus
from trainer.generation.garbage import Garbage, collect_garbage, let_none_before_stay
from trainer.ingest import kept
from trainer.library.compacting import compact
from trainer.library.steps import Change, OnProgress, make_current, nothing
from workers.feature_store.erasing import erase


def purge(collection: Path, on_progress: OnProgress = nothing) -> tuple[Change, Garbage]:
    """Write every part with deleted videos anew without them, and remove all versions and parts of before.

    The feature stores' rows of deleted videos are overwritten; their texts, transcripts and readings of
    screens are removed. Versions that a service holds stay until it drops them, see `Garbage.held`: whoever
    collects garbage then removes them. The caller holds the writer's lock.
    """
    count = 0
    for shard in versions.read(collection).shards:
        worn = [part.id for part in shard.parts if part.deleted]
        if worn:
            count += compact(collection, shard.name, worn, on_progress).parts
    with kept.stores(collection) as stores:
        for store in stores:
            erase(store)
        kept.sweep(collection, purged=True)
    version = _newest(open_corpus(collection))
    let_none_before_stay(collection, version)
    return Change(version, parts=count), collect_garbage(collection, 1)


def _newest(corpus: Corpus) -> str:
    """Return the current version, or one like it that follows on all others: a rollback leaves later ones."""
    if corpus.version.number == max(versions.numbers(corpus.directory)):
        return corpus.id
    return make_current(corpus, corpus.version.shards, "compact")
