"""Segment vectors of a feature store, and which shard each video goes to."""

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import torch

from engine.errors import InvalidInput, Mismatch
from engine.types import Floats, Ordinals
from trainer.collection.places import FRAMES
from workers.feature_store.store import FeatureStore
from workers.ranker.projection.projector import MeanPool, Projector
from workers.ranker.projection.segments import segment_rows, video_rows
from workers.ranker.stores.features import SUBTITLES

BATCH = 1024


def check_streams(store: FeatureStore, streams: Sequence[str]) -> None:
    """Raise InvalidInput where a projector cannot read `streams` of the store side by side."""
    for name in streams:
        if store.streams.get(name) != store.streams[FRAMES]:
            raise InvalidInput(
                f"{store.path} has no stream {name!r} as wide and as dense as its frames; "
                "train a projector with --set subtitles=false."
            )


def segment_counts(store: FeatureStore, ids: Sequence[str], segment_length: int) -> Ordinals:
    """Return (n,) how many segments of `segment_length` frames each video has; the last may be short."""
    frames = [store.record(video).streams[FRAMES][1] for video in ids]
    return np.array([-(-count // segment_length) for count in frames], np.int32)


def deal(counts: Ordinals, shards: int) -> Ordinals:
    """Return (n,) the shard of each video: in their order, each to the shard with the fewest segments.

    >>> deal(np.array([5, 1, 1, 4], np.int32), 2).tolist()
    [0, 1, 1, 1]
    """
    loads = np.zeros(shards, np.int64)
    dealt = np.zeros(len(counts), np.int32)
    for video, count in enumerate(counts):
        dealt[video] = shard = int(loads.argmin())
        loads[shard] += count
    return dealt


def embed(
    store: FeatureStore, ids: Sequence[str], projector: Projector | MeanPool, device: torch.device
) -> Iterator[Floats]:
    """Yield the unit vectors (m, dim) float32 of all segments, in (video, segment) order.

    Without a trained projector what is said counts as well as what is seen. Raises Mismatch, with the video's
    name, for a vector that is not finite.
    """
    if isinstance(projector, MeanPool) and store.streams.get(SUBTITLES) == store.streams[FRAMES]:
        projector = projector.hearing(store.rows(video, SUBTITLES) for video in ids).to(device)
    for names, inputs in _batches(store, ids, projector):
        with torch.inference_mode():
            projected = projector.segments(inputs.to(device)).float().cpu().numpy()
        if not np.isfinite(projected).all():
            message = f"a segment of {names[0]}...{names[-1]} has a vector that is not finite: "
            raise Mismatch(message + "train the projector again, or build with --projector none.")
        lengths = np.linalg.norm(projected, axis=1, keepdims=True)
        yield np.asarray(projected / np.maximum(lengths, 1e-12), np.float32)


def _batches(
    store: FeatureStore, ids: Sequence[str], projector: Projector | MeanPool
) -> Iterator[tuple[list[str], torch.Tensor]]:
    """Yield (videos, inputs (m, frames a segment, width)) of about BATCH segments, long videos in parts."""
    names: list[str] = []
    parts: list[torch.Tensor] = []
    waiting = 0
    for video in ids:
        rows = video_rows(projector.streams, partial(store.rows, video))
        numbers = segment_rows(len(rows), projector.segment_length, projector.around)
        for start in range(0, len(numbers), BATCH):
            inputs = rows[numbers[start : start + BATCH]].astype(np.float32)
            names.append(video)
            parts.append(torch.from_numpy(inputs))
            waiting += len(inputs)
            if waiting >= BATCH:
                yield names, torch.cat(parts)
                names, parts, waiting = [], [], 0
    if parts:
        yield names, torch.cat(parts)
