"""Compaction: parts of a shard merged into one without deleted videos; a version lists it in their place."""

from collections.abc import Collection, Iterator
from pathlib import Path

from engine import parts, staging
from engine.corpus import Corpus, open_corpus
from engine.entries import PartEntry, ShardEntry
from trainer.library.changes import merged
from trainer.library.merging import write_merged
from trainer.library.policy import to_merge
from trainer.library.steps import Change, OnProgress, make_current, nothing


def compact(
    collection: Path, shard: str = "", chosen: Collection[str] = (), on_progress: OnProgress = nothing
) -> Change:
    """Merge parts, the named ones of a shard, all of it or all of every shard; answers stay as they are.

    Nothing is done where that would change nothing. The caller holds the writer's lock.
    """
    staging.sweep(collection)
    corpus = open_corpus(collection)
    count = 0
    for one in [one for one in corpus.version.shards if shard in ("", one.name)]:
        wanted = [part for part in one.parts if not chosen or part.id in chosen]
        if len(wanted) > 1 or any(part.deleted for part in wanted):
            merge(corpus, [part.id for part in wanted], on_progress)
            count += len(wanted)
            corpus = open_corpus(collection)
    return Change(corpus.id, parts=count)


def tidy(collection: Path, on_progress: OnProgress = nothing) -> Change | None:
    """Do one merge that is worth it when nothing else is to be done; None where none is."""
    corpus = open_corpus(collection)
    for _, wanted in _worth(corpus):
        version = merge(corpus, [part.id for part in wanted], on_progress)
        return Change(version, parts=len(wanted))
    return None


def _worth(corpus: Corpus) -> Iterator[tuple[ShardEntry, tuple[PartEntry, ...]]]:
    for shard in corpus.version.shards:
        if wanted := to_merge(shard.parts, idle=True):
            yield shard, wanted


def merge(corpus: Corpus, chosen: Collection[str], on_progress: OnProgress = nothing) -> str:
    """Merge parts of one shard of the current version, and make the version that lists the result current.

    Returns its id.
    """
    old = [part for part in corpus.parts if part.about.id in chosen]
    on_progress("compact", 0, len(old))
    entry = None
    # Of the last part an empty one stays, with what further ones are made with.
    if sum(len(part.living) for part in old) or len(old) == len(corpus.parts):
        staging.check_room(corpus.directory, sum(part.about.bytes for part in old))
        with staging.staged(corpus.directory) as made:
            made.id = write_merged(made.path, corpus, old).id
        entry = parts.entry_of(corpus.directory, made.id)
    version = make_current(corpus, merged(corpus.version.shards, chosen, entry), "compact")
    on_progress("compact", len(old), len(old))
    return version
