"""Who makes the parts of a build: this process, or others by the same steps."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from engine.types import Floats, Ordinals
from trainer.collection.segments import VideoRows, embed_as_told
from trainer.generation.kit import Kit, OnProgress
from trainer.generation.part import finish_part, write_index
from trainer.generation.plan import Plan
from workers.ranker.projection.projector import MeanPool, Projector
from workers.ranker.stores.features import DIRECTORY, write_context

_BLOCK = 16_384


@dataclass(frozen=True)
class Vectors:
    """All segment vectors of a build: a file of (rows, dim) float32, in (video, segment) order."""

    path: Path
    rows: int
    dim: int

    def make(self) -> None:
        """Make room for them."""
        with self.path.open("wb") as file:
            # Writing to a sparse memory map on a full disk raises SIGBUS, which kills the process.
            os.posix_fallocate(file.fileno(), 0, 4 * self.rows * self.dim)

    def map(self) -> Floats:
        """Map the file: (rows, dim), writable."""
        return np.memmap(self.path, np.float32, "r+", shape=(self.rows, self.dim))


@dataclass(frozen=True)
class Building:
    """A part to be made. ids: of its videos, sorted. starts, counts: (n,) rows of each among all vectors."""

    path: Path
    ids: list[str]
    starts: NDArray[np.int64]
    counts: Ordinals

    @property
    def segments(self) -> int:
        """How many it has."""
        return int(self.counts.sum())

    def blocks(self, vectors: Floats) -> Iterator[Floats]:
        """Yield its vectors, (m, dim) each."""
        firsts = np.repeat(self.starts - (np.cumsum(self.counts) - self.counts), self.counts)
        rows = firsts + np.arange(len(firsts))
        for start in range(0, len(rows), _BLOCK):
            yield np.asarray(vectors[rows[start : start + _BLOCK]])


def buildings(plan: Plan, paths: Sequence[Path]) -> list[Building]:
    """Return the part of each shard, to be made in these directories."""
    starts = np.cumsum(plan.counts) - plan.counts
    chosen = [plan.shards == number for number in range(len(paths))]
    return [
        Building(path, plan.ids_of(number), starts[chosen[number]], plan.counts[chosen[number]])
        for number, path in enumerate(paths)
    ]


def embed_videos(
    rows: VideoRows,
    projector: Projector | MeanPool,
    device: torch.device,
    vectors: Floats,
    on_progress: OnProgress,
) -> None:
    """Write the unit vectors of videos into (segments, dim): all of theirs, in (video, segment) order."""
    done = 0
    for block in embed_as_told(rows, projector, device):
        vectors[done : done + len(block)] = block
        done += len(block)
        on_progress("embed", done, len(vectors))


def index_part(kit: Kit, building: Building, vectors: Vectors, on_progress: OnProgress) -> None:
    """Write a part's index."""
    write_index(building.path, kit, building.ids, building.blocks(vectors.map()), kit.template)
    on_progress("index", building.segments, building.segments)


def complete_part(kit: Kit, building: Building, on_progress: OnProgress) -> str:
    """Write all of a part besides its index; return its id."""
    write_context(building.path / DIRECTORY, kit.store, building.ids)
    return finish_part(building.path, kit, building.ids, kit.factory, on_progress).id


class Maker(Protocol):
    """Makes the parts of one build. on_progress: called with (stage, done, total) over all parts.

    plan: with its projector as it embeds.
    """

    def embed(self, plan: Plan, vectors: Vectors, on_progress: OnProgress) -> None:
        """Write the vectors of all videos."""

    def index(
        self, plan: Plan, kit: Kit, made: Sequence[Building], vectors: Vectors, on_progress: OnProgress
    ) -> None:
        """Write the index of every part."""

    def complete(self, plan: Plan, kit: Kit, made: Sequence[Building], on_progress: OnProgress) -> list[str]:
        """Write all else of every part; return their ids."""


class Here:
    """Makes them in this process, one after the other."""

    def embed(self, plan: Plan, vectors: Vectors, on_progress: OnProgress) -> None:
        """See Maker."""
        rows = VideoRows.of_store(plan.store, plan.ids)
        embed_videos(rows, plan.projector, plan.device, vectors.map(), on_progress)

    def index(
        self, plan: Plan, kit: Kit, made: Sequence[Building], vectors: Vectors, on_progress: OnProgress
    ) -> None:
        """See Maker."""
        tell = Summed(on_progress, plan.segments)
        for building in made:
            index_part(kit, building, vectors, tell)

    def complete(self, plan: Plan, kit: Kit, made: Sequence[Building], on_progress: OnProgress) -> list[str]:
        """See Maker."""
        for number, building in enumerate(made):
            on_progress("context", number, len(made))
            write_context(building.path / DIRECTORY, kit.store, building.ids)
        on_progress("context", len(made), len(made))
        tell = Summed(on_progress, plan.clips)
        return [finish_part(each.path, kit, each.ids, kit.factory, tell).id for each in made]


class Summed:
    """Reports the progress of one part after the other as that of all."""

    def __init__(self, on_progress: OnProgress, total: int) -> None:
        self._on_progress, self._total, self._before = on_progress, total, 0

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Report how far the present part is."""
        self._on_progress(stage, self._before + done, self._total)
        self._before += total if done == total else 0
