"""What ingest keeps of videos beside their features: gone when no video has it."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from trainer.ingest import texts, tiles
from trainer.ingest.transcripts import Transcripts
from workers.feature_store.locking import Locked, lock
from workers.feature_store.recalling import deleted
from workers.feature_store.store import FeatureStore

# Directory of a collection, the entry of a record's info that names a file in it, and the file's suffix.
KINDS = ((tiles.DIRECTORY, tiles.KEY, ""), (texts.DIRECTORY, texts.KEY, ".json"))
# What stays of a deleted video until a purge, as its rows do: a build after a rollback puts it back.
STAYS = texts.DIRECTORY


@contextlib.contextmanager
def stores(collection: Path) -> Iterator[list[FeatureStore]]:
    """Open all feature stores of a collection for writing, so that no ingest runs; Locked where one does."""
    with contextlib.ExitStack() as stack:
        paths = sorted((collection / "features").glob("*/store.json"))
        yield [stack.enter_context(FeatureStore.open(path.parent, "a")) for path in paths]


def sweep_alone(store: FeatureStore) -> None:
    """Do as `sweep` for an ingest that ends, unless one with other encoders runs, whose end will.

    Nor beside a store that cannot be locked, as it is another user's or is being removed.
    """
    collection = store.path.parents[1]
    with contextlib.ExitStack() as stack:
        try:
            for header in sorted((collection / "features").glob("*/store.json")):
                if header.parent != store.path:
                    stack.callback(lock(header.parent).close)
        except (Locked, OSError):
            return
        sweep(collection)


def sweep(collection: Path, purged: bool = False) -> None:
    """Remove the files that no video of the collection's feature stores has.

    No ingest may run meanwhile: it keeps texts and pictures before it stores their video.
    purged: deleted videos are gone for good, with their transcripts and readings of screens.
    """
    there = [kind for kind in KINDS if (collection / kind[0]).is_dir()]
    if not there and not purged:
        return
    living, out = [], []
    for header in (collection / "features").glob("*/store.json"):
        with FeatureStore.open(header.parent) as store:
            living += [store.record(video) for video in store.ids()]
            out += deleted(store)
    for directory, key, suffix in there:
        records = living + out if directory == STAYS and not purged else living
        kept = {f"{record.info[key]}{suffix}" for record in records if record.info.get(key)}
        for path in (collection / directory).iterdir():
            if path.name not in kept:
                path.unlink(missing_ok=True)
    if purged:
        for content in {record.sha256 for record in out} - {record.sha256 for record in living}:
            for each in (Transcripts.of(collection), Transcripts.of_screens(collection)):
                each.path(content).unlink(missing_ok=True)
