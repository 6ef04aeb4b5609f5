"""Versions that a collection has after videos were added to it, in a copy of it that shares its files."""

import contextlib
import dataclasses
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench import building
from bench.corpus import Corpus, tables, unit
from engine import parts, versions
from engine.entries import PartEntry, Version
from engine.staging import staged
from engine.types import Floats
from trainer.generation.part import exact_factory
from trainer.library.changes import with_part
from trainer.library.policy import MOST, to_merge
from workers.index.part import DIRECTORY, IndexPart
from workers.index.training import Template

# What an added video shows differs from what another one shows by so much: it is found beside it.
_APART = 0.3


class Grown:
    """A copy of a collection, and versions of it with more videos, which are like some of the corpus."""

    def __init__(self, collection: Path, corpus: Corpus, folder: Path) -> None:
        """Link the files of `collection` into `folder`, which is made anew."""
        shutil.rmtree(folder, ignore_errors=True)
        ignored = shutil.ignore_patterns("topology.toml", "serve.log", ".*")
        shutil.copytree(collection, folder, ignore=ignored, copy_function=os.link)
        self.folder = folder
        self.built = versions.read(folder)
        self._corpus, self._added = corpus, 0
        self._rng = np.random.default_rng(21)
        self._template = Template.read(folder, self.built.quantizer_sha256).small()

    def with_parts(self, sizes: Sequence[Sequence[int]]) -> Version:
        """Write the version with new parts of so many videos each beside the built ones, by shard."""
        shards = self.built.shards
        for number, of_shard in enumerate(sizes):
            for size in of_shard:
                shards = with_part(shards, number, self._part(size))
        return versions.commit(self.folder, versions.with_shards(self.built, shards, "add"))

    def files_of(self, version: Version) -> list[Path]:
        """Return the files of the parts that a version lists and the built one does not."""
        new = {part.id for part in version.parts} - {part.id for part in self.built.parts}
        found = [parts.directory(self.folder, part) for part in sorted(new)]
        return [path for folder in found for path in folder.rglob("*") if path.is_file()]

    def _part(self, size: int) -> PartEntry:
        about, _ = parts.read(self.folder, self.built.parts[0].id)
        about = dataclasses.replace(about, factory=exact_factory(about.factory))
        names = [f"added_{self._added + place:07}" for place in range(size)]
        self._added += size
        like = np.sort(self._rng.choice(len(self._corpus.lengths.names), size, replace=False))
        counts = self._corpus.counts[like]
        with staged(self.folder) as staging:
            index = IndexPart.build(self._template, [self._vectors(like)], *tables(counts))
            index.save(staging.path / DIRECTORY)
            durations = self._corpus.durations[like]
            segments = np.asarray(counts, np.int32)
            staging.id = building.finish_part(staging.path, names, segments, durations, about).id
        return parts.entry_of(self.folder, staging.id)

    def _vectors(self, videos: NDArray[np.int64]) -> Floats:
        vectors = np.asarray(self._corpus.vectors[np.flatnonzero(np.isin(self._corpus.videos, videos))])
        noise = self._rng.standard_normal(vectors.shape, np.float32) / np.float32(vectors.shape[1] ** 0.5)
        return unit(vectors + np.float32(_APART) * noise)


@contextlib.contextmanager
def grown(collection: Path, corpus: Corpus, folder: Path) -> Iterator[Grown]:
    """Yield a copy of a collection that grows; it is removed at the end."""
    try:
        yield Grown(collection, corpus, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def sizes_after(first: int, adds: int) -> list[int]:
    """Return the videos of the parts beside the one of `first` that `adds` single videos leave.

    They are merged as the library does while it has more to do. Of the last adds the one counts that leaves
    most parts.
    """
    listed = [PartEntry("first", "", first, first)]
    most = listed
    for number in range(adds):
        chosen = to_merge(listed, room=1)
        if chosen:
            size = sum(one.videos for one in chosen)
            listed = [one for one in listed if one not in chosen] + [PartEntry(f"m{number}", "", size, size)]
        listed = [*listed, PartEntry(f"a{number}", "", 1, 1)]
        if len(listed) == MOST or len(listed) > len(most):
            most = listed
    return [one.videos for one in most if one.id != "first"]
