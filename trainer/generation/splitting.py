"""Cuts a generation, which numbers the videos of all shards together, into what the part of a shard holds."""

import os
import shutil
from pathlib import Path

import numpy as np
import torch

from engine.files import sync
from engine.types import Ordinals
from trainer.collection.segments import VideoRows, hearing
from trainer.generation.legacy import Manifest
from workers.index.files import INDEX, ORIGINALS, SEARCH
from workers.index.part import OFFSETS, VIDEOS
from workers.ranker.projection.projector import MeanPool
from workers.ranker.stores import contexts, features
from workers.ranker.stores.contexts import EncodedStore
from workers.ranker.stores.features import FRAMES, FeatureMaps
from workers.ranker.stores.merging import merge_context, merge_encoded


def said(generation: Path, about: Manifest) -> torch.Tensor | None:
    """Return (dim,) the mean of what is said, if the generation was pooled by it."""
    if about.projector is not None:
        return None
    frames = round(about.segment_length / about.streams[FRAMES].step)
    heard = hearing(MeanPool(frames), VideoRows.of_contexts(FeatureMaps.open(generation)))
    return heard.said if isinstance(heard, MeanPool) else None


def write_index(target: Path, source: Path, numbers: Ordinals) -> None:
    """Link a shard's index; number its videos by their place among `numbers`, the shard's old ordinals."""
    target.mkdir()
    for name in (INDEX, ORIGINALS, SEARCH, OFFSETS):
        if (source / name).is_file():
            _link(source / name, target / name)
    np.save(target / VIDEOS, np.searchsorted(numbers, np.load(source / VIDEOS)).astype(np.int32))
    sync(target / VIDEOS)


def write_contexts(building: Path, generation: Path, numbers: Ordinals, *, whole: bool) -> None:
    """Give a part its videos' share of features and stored contexts; all of them where it is the only one."""
    stored = EncodedStore.there(generation)
    if whole:
        for folder in (features.DIRECTORY, *([contexts.DIRECTORY] if stored else [])):
            (building / folder).mkdir()
            for path in (generation / folder).iterdir():
                _link(path, building / folder / path.name)
        return
    order = np.arange(len(numbers))
    merge_context(building / features.DIRECTORY, [(generation, numbers)], order)
    if stored:
        merge_encoded(building / contexts.DIRECTORY, [(generation, numbers)], order)


def _link(source: Path, target: Path) -> None:
    """Give a file a second name; a copy where the disk has no links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
    sync(target)
