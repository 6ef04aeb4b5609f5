"""What ingest keeps of videos beside their features, pictures and texts: gone when no video has it."""

from pathlib import Path

from trainer.ingest import texts, tiles
from workers.feature_store.store import FeatureStore

# Directory of a collection, the entry of a record's info that names a file in it, and the file's suffix.
KINDS = ((tiles.DIRECTORY, tiles.KEY, ""), (texts.DIRECTORY, texts.KEY, ".json"))


def sweep(collection: Path) -> None:
    """Remove the files that no video of the collection's feature stores has."""
    there = [kind for kind in KINDS if (collection / kind[0]).is_dir()]
    if not there:
        return
    infos = []
    for header in (collection / "features").glob("*/store.json"):
        with FeatureStore.open(header.parent) as store:
            infos += [store.record(video).info for video in store.ids()]
    for directory, key, suffix in there:
        kept = {f"{info[key]}{suffix}" for info in infos if info.get(key)}
        for path in (collection / directory).iterdir():
            if path.name not in kept:
                path.unlink(missing_ok=True)
