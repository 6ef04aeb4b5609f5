"""Vectors of a corpus too large for memory, in one file of half floats."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from bench import corpus as corpora
from bench import indexes
from bench.indexes import GroundTruth
from engine.files import read_json, write_json
from engine.types import Floats
from workers.index.factory import Recipe, recipe

SHARDS = 2
QUERIES = 512
_BLOCK = 32_768


@dataclass(frozen=True, slots=True)
class Huge:
    """counts: segments of each video. sample: what to train on. asked: queries and their exact nearest."""

    path: Path
    dim: int
    counts: NDArray[np.int64]
    made: Recipe
    sample: Floats
    asked: GroundTruth

    @property
    def first(self) -> int:
        """The videos of the first shard: half of all."""
        return len(self.counts) // SHARDS

    def vectors(self, file: BinaryIO, rows: int) -> Iterator[Floats]:
        """Yield the next rows of the file, in blocks."""
        while rows > 0:
            block = np.fromfile(file, np.float16, min(rows, _BLOCK) * self.dim).reshape(-1, self.dim)
            rows -= len(block)
            yield block.astype(np.float32)


def generate(folder: Path, segments: int, dim: int) -> Huge:
    """Return the corpus in `folder`, written there unless it is."""
    counts = corpora.videos_for(segments)
    made = recipe("auto", dim, segments, SHARDS)
    about = {"segments": segments, "dim": dim, "sample": made.sample, "queries": QUERIES}
    if not (folder / "about.json").is_file() or read_json(folder / "about.json") != about:
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder, counts, dim, made.sample)
        write_json(folder / "about.json", about)
    asked = GroundTruth(np.load(folder / "queries.npy"), np.load(folder / "exact.npy"))
    sample = np.load(folder / "sample.npy").astype(np.float32)
    return Huge(folder / "vectors.f16", dim, counts, made, sample, asked)


def _write(folder: Path, counts: NDArray[np.int64], dim: int, size: int) -> None:
    total = int(counts.sum())
    rng = np.random.default_rng(1)
    wanted = np.sort(rng.choice(total, size, replace=False))
    about = np.sort(rng.choice(total, min(QUERIES, total), replace=False))
    sample, scenes, done = [], [], 0
    with (folder / "vectors.f16").open("wb") as file:
        for vectors, shown in corpora.blocks(counts, dim):
            half = vectors.astype(np.float16)
            file.write(half.tobytes())
            sample.append(half[_within(wanted, done, len(half))])
            scenes.append(shown[_within(about, done, len(half))])
            done += len(half)
    queries = np.random.default_rng(2).permutation(corpora.ask(np.concatenate(scenes), dim))
    nearest = corpora.Nearest(queries, indexes.DEPTH)
    with (folder / "vectors.f16").open("rb") as file:
        while len(block := np.fromfile(file, np.float16, _BLOCK * dim)):
            nearest.add(block.reshape(-1, dim).astype(np.float32))
    for name, array in (("sample", np.concatenate(sample)), ("queries", queries), ("exact", nearest.rows)):
        np.save(folder / f"{name}.npy", array)


def _within(rows: NDArray[np.int64], start: int, count: int) -> NDArray[np.int64]:
    first, last = np.searchsorted(rows, [start, start + count])
    return np.asarray(rows[first:last] - start)
