"""Batch appends to a feature store: one sync for a group of videos, and resumable."""

from collections.abc import Iterable

import numpy as np

from trainer.progress import Progress
from workers.feature_store.store import FeatureStore, NewVideo

GROUP_BYTES = 32 << 20
GROUP_VIDEOS = 512


def append_all(store: FeatureStore, videos: Iterable[NewVideo], progress: Progress, done: int = 0) -> int:
    """Append every video; return how many. progress counts from `done`."""
    group: list[NewVideo] = []
    size = count = 0
    for video in videos:
        group.append(video)
        size += sum(np.asarray(rows).nbytes for rows in video.arrays.values())
        if size >= GROUP_BYTES or len(group) >= GROUP_VIDEOS:
            store.extend(group)
            count += len(group)
            progress.update(done + count)
            group, size = [], 0
    if group:
        store.extend(group)
        count += len(group)
        progress.update(done + count)
    return count
