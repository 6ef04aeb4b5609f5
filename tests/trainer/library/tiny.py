"""Collections whose parts are a catalogue and a few bytes: for what copies and commits."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from engine import parts, staging, versions
from engine.catalogue import PartCatalogue
from engine.corpus import open_corpus
from engine.entries import Part, PartEntry, ShardEntry, StreamEntry, Version, runs_of
from engine.files import sync
from tests import plain

STREAMS = {"frames": StreamEntry(4, 1.0, "float16")}
SHARD = "shard-00000"


def write_part(collection: Path, ids: Sequence[str]) -> PartEntry:
    """Publish a part of videos of two segments each, its vectors made of their ids."""
    with staging.staged(collection) as made:
        count = len(ids)
        PartCatalogue(
            sorted(ids),
            [f"file:///{video}.mp4" for video in sorted(ids)],
            np.full(count, 8.0),
            np.full(count, 2, np.int32),
        ).write(made.path)
        (made.path / "index").mkdir()
        path = made.path / "index" / "index.faiss"
        path.write_bytes(",".join(sorted(ids)).encode() * 100)
        sync(path)
        made.id = parts.seal(made.path, about_part(count)).id
    return parts.entry_of(collection, made.id)


def write_version(
    collection: Path, listed: Sequence[PartEntry], parent: str = "", reason: str = "add"
) -> Version:
    """Commit and activate a version of one shard that lists these parts."""
    living = sum(part.videos - len(part.deleted_videos()) for part in listed)
    shard = ShardEntry(SHARD, living, 2 * living, tuple(listed))
    made = versions.commit(collection, _version(shard, parent, reason))
    versions.activate(collection, made.id)
    return made


def without(part: PartEntry, *numbers: int) -> PartEntry:
    """Return the entry with these videos of the part deleted."""
    deleted = runs_of([*part.deleted_videos().tolist(), *numbers])
    return PartEntry(part.id, part.sha256, part.videos, part.segments, deleted)


def living(collection: Path, version: str = "") -> list[str]:
    """Return the ids of a version's living videos, every byte verified."""
    from engine.verification import verify

    corpus = open_corpus(collection, version)
    for part in corpus.parts:
        verify(part.directory, part.about)
    return corpus.catalogue.ids


def about_part(videos: int) -> Part:
    return plain.part(dim=4, videos=videos, segments=2 * videos, streams=STREAMS)


def _version(shard: ShardEntry, parent: str, reason: str) -> Version:
    return plain.version(
        parent=parent, reason=reason, collection="tiny", dim=4, shards=(shard,), streams=STREAMS
    )


def two_versions(home: Path) -> Path:
    """Make a collection of a part of three videos, and then of one less and another part."""
    home.mkdir()
    (home / "collection.json").write_text('{"name": "tiny", "format": 1}')
    first = write_part(home, ["a", "b", "c"])
    one = write_version(home, [first], reason="build")
    write_version(home, [without(first, 1), write_part(home, ["d"])], parent=one.id)
    return home
