"""The indexes of a version's new parts: embed, train once, fill one a shard, measure them together."""

import contextlib
import dataclasses
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from engine import parts
from engine.entries import SearchEntry
from engine.staging import TEMPORARY
from engine.types import Floats
from trainer.collection.segments import VideoRows, hearing
from trainer.generation.check import check
from trainer.generation.kit import Kit, OnProgress
from trainer.generation.making import Building, Maker, Vectors
from trainer.generation.plan import Plan
from workers.index.part import DIRECTORY
from workers.index.training import train

_VECTORS = "vectors.f32"


def write_indexes(
    collection: Path, plan: Plan, made: Sequence[Building], maker: Maker, on_progress: OnProgress
) -> tuple[Kit, SearchEntry]:
    """Train, fill and measure the index of every shard's part; return what the parts are made with."""
    with _scratch(collection) as folder:
        projector = hearing(plan.projector, VideoRows.of_store(plan.store, plan.ids)).to(plan.device)
        plan = dataclasses.replace(plan, projector=projector)
        file = Vectors(folder / _VECTORS, plan.segments, plan.dim)
        file.make()
        maker.embed(plan, file, on_progress)
        vectors = file.map()
        device = {"cuda": "auto"}.get(plan.device.type, "cpu")
        sample = _sample(vectors, plan.recipe.sample, on_progress)
        kit = plan.kit(train(plan.recipe, plan.dim, sample, device))
        on_progress("train", 1, 1)
        maker.index(plan, kit, made, file, on_progress)
        on_progress("check", 0, 1)
        folders = [building.path / DIRECTORY for building in made]
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


def _sample(vectors: Floats, size: int, on_progress: OnProgress) -> Floats:
    """Return `size` of the vectors to train on, the same ones every time."""
    on_progress("train", 0, 1)
    rows = np.sort(np.random.default_rng(0).choice(len(vectors), size, replace=False))
    return np.asarray(vectors[rows])
