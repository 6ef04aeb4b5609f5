"""The indexes of a version's new parts: embed, train once, fill one a shard, measure them together."""

import contextlib
import dataclasses
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine import parts
from engine.entries import SearchEntry
from engine.staging import TEMPORARY, Staging
from engine.types import Floats
from trainer.collection.segments import VideoRows, embed_as_told, hearing
from trainer.generation.check import check
from trainer.generation.kit import Kit, OnProgress
from trainer.generation.part import write_index
from trainer.generation.plan import Plan
from workers.index.part import DIRECTORY
from workers.index.training import train

_VECTORS = "vectors.f32"
_BLOCK = 16_384


def write_indexes(
    collection: Path, plan: Plan, made: Sequence[Staging], on_progress: OnProgress
) -> tuple[Kit, SearchEntry]:
    """Train, fill and measure the index of every shard's part; return what the parts are made with.

    made: where each part is built.
    """
    with _scratch(collection) as folder:
        projector = hearing(plan.projector, VideoRows.of_store(plan.store, plan.ids)).to(plan.device)
        plan = dataclasses.replace(plan, projector=projector)
        vectors = _embed(folder / _VECTORS, plan, on_progress)
        device = {"cuda": "auto"}.get(plan.device.type, "cpu")
        sample = _sample(vectors, plan.recipe.sample, on_progress)
        kit = plan.kit(train(plan.recipe, plan.dim, sample, device))
        on_progress("train", 1, 1)
        done = 0
        for number, staging in enumerate(made):
            rows = plan.rows_of(number)
            write_index(staging.path, kit, plan.ids_of(number), _blocks(vectors, rows), kit.template)
            done += len(rows)
            on_progress("index", done, plan.segments)
        on_progress("check", 0, 1)
        folders = [staging.path / DIRECTORY for staging in made]
        search = check(folders, collection, plan, vectors)
        on_progress("check", 1, 1)
        del vectors
    return kit, search


@contextlib.contextmanager
def _scratch(collection: Path) -> Iterator[Path]:
    """Yield a directory for what no part holds; `sweep` removes it after a kill."""
    folder = collection / parts.PARTS / f"{TEMPORARY}scratch-{os.getpid()}"
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _embed(path: Path, plan: Plan, on_progress: OnProgress) -> Floats:
    """Write all segment vectors to a file and map it: (segments, dim)."""
    with path.open("wb") as file:
        # Writing to a sparse memory map on a full disk raises SIGBUS, which kills the process.
        os.posix_fallocate(file.fileno(), 0, 4 * plan.segments * plan.dim)
    vectors = np.memmap(path, np.float32, "r+", shape=(plan.segments, plan.dim))
    done = 0
    for block in embed_as_told(VideoRows.of_store(plan.store, plan.ids), plan.projector, plan.device):
        vectors[done : done + len(block)] = block
        done += len(block)
        on_progress("embed", done, plan.segments)
    return vectors


def _sample(vectors: Floats, size: int, on_progress: OnProgress) -> Floats:
    """Return `size` of the vectors to train on, the same ones every time."""
    on_progress("train", 0, 1)
    rows = np.sort(np.random.default_rng(0).choice(len(vectors), size, replace=False))
    return np.asarray(vectors[rows])


def _blocks(vectors: Floats, rows: NDArray[np.int64]) -> Iterator[Floats]:
    for start in range(0, len(rows), _BLOCK):
        yield np.asarray(vectors[rows[start : start + _BLOCK]])
