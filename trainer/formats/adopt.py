"""Judged queries into a collection, checked against its features first."""

from pathlib import Path

from engine.errors import InvalidInput, NotFound, argument
from trainer.collection.annotations import load_corpus, load_queries
from trainer.formats.splits import write_split
from workers.feature_store.store import FeatureStore

SPLITS = ("train", "val", "test")


def adopt_annotations(source: Path, collection: Path) -> tuple[dict[str, tuple[int, int, int]], list[str]]:
    """Copy every split of `source` into `collection/annotations`.

    Return (queries, moments, videos) a split, and the splits that had other queries before.
    All splits are checked before any is written. A moment's video must be in its split's corpus, and a
    corpus's videos must have features in the collection: InvalidInput names the first that are not.
    """
    known = _videos_with_features(collection)
    splits = [split for split in SPLITS if (source / f"{split}.json").is_file()]
    if not splits:
        raise NotFound(f"{source} holds none of train.json, val.json, test.json; name a folder that does")
    loaded = {}
    for split in splits:
        queries = load_queries(source / f"{split}.json")
        corpus = load_corpus(source / f"corpus_{split}.json")
        judged = {moment.video for query in queries for moment in query.moments}
        _refuse(source / f"{split}.json", judged - corpus.keys(), f"that corpus_{split}.json lacks")
        _refuse(source / f"corpus_{split}.json", corpus.keys() - known, "without features; ingest them first")
        loaded[split] = (queries, corpus)
    replaced = [split for split, found in loaded.items() if write_split(collection, split, *found)]
    counts = {
        split: (len(queries), sum(len(query.moments) for query in queries), len(corpus))
        for split, (queries, corpus) in loaded.items()
    }
    return counts, replaced


def _videos_with_features(collection: Path) -> set[str]:
    stores = sorted((collection / "features").glob("*/store.json"))
    if not stores:
        raise NotFound(
            f"{collection} has no features; run `spr ingest VIDEOS --collection {argument(collection)}` first"
        )
    return {video for header in stores for video in FeatureStore.open(header.parent).ids()}


def _refuse(path: Path, names: set[str], what: str) -> None:
    if names:
        shown = ", ".join(sorted(names)[:3])
        raise InvalidInput(f"{path} names {len(names)} videos {what}: {shown}")
