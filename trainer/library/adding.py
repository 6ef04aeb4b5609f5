"""Adding videos whose features are in the store: one small part a touched shard, and a version."""

import contextlib
import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from engine import staging
from engine.corpus import Corpus, open_corpus
from engine.entries import PartEntry
from engine.errors import Mismatch
from engine.facts import Facts
from engine.part_texts import PartTexts
from engine.texts import TEXTS
from trainer.collection.places import FRAMES
from trainer.collection.segments import VideoRows
from trainer.collection.texts import texts_of
from trainer.generation.check import UNFIT
from trainer.generation.kit import Kit
from trainer.generation.part import add_part
from trainer.ingest.texts import KEY, Texts
from trainer.library.changes import deal, with_part, without
from trainer.library.compacting import merge
from trainer.library.kits import Kits
from trainer.library.policy import to_merge
from trainer.library.steps import Change, OnProgress, Whereabouts, make_current, nothing
from workers.feature_store.store import FeatureStore, VideoRecord
from workers.ranker.stores.features import FeatureMaps

_log = logging.getLogger("spr.library")


def add(
    collection: Path,
    ids: Iterable[str],
    kits: Kits,
    gone: Iterable[str] = (),
    on_progress: OnProgress = nothing,
) -> Change:
    """Add videos of the feature store to the current version, or replace them where their content is another.

    gone: ids that they had before, to be deleted with it. The caller holds the writer's lock. Nothing is
    changed where all is there already; NotFound for an id that is not in the store.
    """
    staging.sweep(collection)
    corpus = open_corpus(collection)
    kit = kits.of(corpus)
    wanted = sorted(set(ids))
    empty = [video for video in wanted if not kit.store.record(video).streams[FRAMES][1]]
    notes = [f"{video} has no pictures and is not searched" for video in empty]
    known = _unchanged(corpus, kit.store, [video for video in wanted if video not in empty])
    fresh = [video for video in wanted if video not in known and video not in empty]
    if kit.texts is None and any(one.said or one.written for one in texts_of(kit.store, fresh)):
        notes.append("what is said and written in them is found by its words after the next `spr build`")
    lost = sorted({video for video in gone if video in corpus.catalogue} - set(wanted))
    if not fresh and not lost:
        return Change(corpus.id, (), tuple(sorted(known)), notes=tuple(notes))
    _check_room(collection, kit, fresh)
    replaced = [*lost, *(video for video in fresh if video in corpus.catalogue)]
    groups = _groups(corpus, kit, fresh, replaced)
    corpus = _with_room(corpus, groups, on_progress)
    shards = without(corpus.version.shards, Whereabouts(corpus).places(replaced))
    for number, videos in groups.items():
        shards = with_part(shards, number, add_part(collection, kit, videos, on_progress))
    return Change(make_current(corpus, shards, "add"), tuple(fresh), tuple(sorted(known)), notes=tuple(notes))


def _groups(corpus: Corpus, kit: Kit, fresh: Sequence[str], replaced: Sequence[str]) -> dict[int, list[str]]:
    """Return the new videos of each touched shard, by its number."""
    if not fresh:
        return {}
    shards = without(corpus.version.shards, Whereabouts(corpus).places(replaced))
    counts = VideoRows.of_store(kit.store, fresh).segment_counts(kit.projector.segment_length)
    groups: dict[int, list[str]] = {}
    for video, number in zip(fresh, deal(shards, counts.tolist()), strict=True):
        groups.setdefault(number, []).append(video)
    return groups


def _with_room(corpus: Corpus, touched: Iterable[int], on_progress: OnProgress) -> Corpus:
    """Merge parts of the touched shards where a further one would be too many; return the version then."""
    for number in touched:
        chosen = to_merge(corpus.version.shards[number].parts, room=1)
        if chosen and _merged(corpus, chosen, on_progress):
            corpus = open_corpus(corpus.directory)
    return corpus


def _merged(corpus: Corpus, chosen: Sequence[PartEntry], on_progress: OnProgress) -> bool:
    """Merge parts, largest first; without the largest ones where codes of them all would find too little."""
    while len(chosen) > 1:
        try:
            merge(corpus, [part.id for part in chosen], on_progress)
        except Mismatch as error:
            if error.reason != UNFIT:
                raise
            _log.warning("%d parts of %s are not merged: %s", len(chosen), corpus.directory, error)
            chosen = chosen[1:]
        else:
            return True
    return False


def _unchanged(corpus: Corpus, store: FeatureStore, videos: Sequence[str]) -> set[str]:
    """Return the videos that the version holds exactly as the store does."""
    where = Whereabouts(corpus)
    maps: dict[Path, FeatureMaps] = {}
    found = set()
    for video in (video for video in videos if video in corpus.catalogue):
        ordinal, record = corpus.catalogue.ordinal(video), store.record(video)
        directory, number = where.directory(video)
        if directory not in maps:
            maps[directory] = FeatureMaps.open(directory)
        told = (corpus.catalogue.uris[ordinal], float(corpus.catalogue.durations[ordinal]))
        same = told == (record.uri, record.duration) and _same_facts(corpus.catalogue.facts, ordinal, record)
        same = same and (corpus.version.texts is None or _same_texts(directory, number, store, video))
        if same and all(
            np.array_equal(maps[directory].video(number, stream), store.rows(video, stream))
            for stream in store.streams
        ):
            found.add(video)
    return found


def _same_facts(known: Facts, ordinal: int, record: VideoRecord) -> bool:
    """Whether labels and date are as the store has them; parts of before release 0.2 know no dates."""
    noted = Facts.of_records([record.info])
    dates = known.dates[ordinal], noted.dates[0]
    return known.labels[ordinal] == noted.labels[0] and (np.isnan(dates[0]) or dates[0] == dates[1])


def _same_texts(part: Path, number: int, store: FeatureStore, video: str) -> bool:
    """Whether a part has the lines that the store's collection has of a video."""
    (wanted,) = texts_of(store, [video])
    if wanted == Texts() and store.record(video).info.get(KEY):
        # Its file is gone: the part's lines are all that is left.
        return True
    texts = PartTexts.open(part)
    if texts is None:
        return not wanted.said and not wanted.written
    with contextlib.closing(texts):
        return all(tuple(texts.all(number, channel)) == wanted.of(channel) for channel in TEXTS)


def _check_room(collection: Path, kit: Kit, videos: Sequence[str]) -> None:
    """Refuse to begin what the disk cannot hold."""
    needed = 0
    for video in videos:
        rows = kit.store.record(video).streams
        needed += sum(
            rows[name][1] * s.dim * kit.store.dtype.itemsize for name, s in kit.store.streams.items()
        )
        needed += 4 * kit.dim * (rows[FRAMES][1] // kit.projector.segment_length + 1)
    staging.check_room(collection, 2 * needed)
