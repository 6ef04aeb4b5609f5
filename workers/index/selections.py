"""The rows that a filter lets through, for each part of a shard; the latest filters are kept."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from cachetools import LRUCache

from engine import wire_filter
from engine.corpus import Corpus
from engine.types import Ordinals
from spr.internal.v1.index_shard_service_pb2 import Allowed
from workers.index.living import Living

# Filters of one version: a byte and a bit a segment each.
_KEPT = 8


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """The rows of a part. ordinals: of its videos, -1 for a deleted one. videos, segments: of each row."""

    ordinals: Ordinals
    videos: Ordinals
    segments: Ordinals


class Selections:
    """What filters let through of the parts of one shard; of all threads."""

    def __init__(self, parts: Sequence[Rows], corpus: Corpus) -> None:
        living = [np.zeros(0, np.int32), *(part.ordinals[part.ordinals >= 0] for part in parts)]
        self._ordinals = np.sort(np.concatenate(living))
        self._durations = corpus.catalogue.durations[self._ordinals]
        self._length = corpus.version.segment_length
        self._parts = parts
        self._kept: LRUCache[bytes, list[Living]] = LRUCache(_KEPT)
        self._lock = threading.Lock()

    def of(self, allowed: Allowed) -> list[Living]:
        """Return what may be found of each part; InvalidInput for a filter that cannot be of this shard."""
        key = allowed.SerializeToString(deterministic=True)
        with self._lock:
            found = self._kept.get(key)
        if found is None:
            found = self._select(allowed)
            with self._lock:
                self._kept[key] = found
        return found

    def _select(self, allowed: Allowed) -> list[Living]:
        mask, stretch = wire_filter.allowed_from_pb(allowed, self._ordinals)
        found = []
        for part in self._parts:
            # Deleted videos have the place of any other: they are left out first.
            places = np.searchsorted(self._ordinals, part.ordinals)
            videos = part.ordinals >= 0
            videos[videos] = mask[places[videos]]
            rows = videos[part.videos]
            if stretch:
                chosen = np.flatnonzero(rows)
                durations = self._durations[places[part.videos[chosen]]]
                rows[chosen] = stretch.overlaps(part.segments[chosen], durations, self._length)
            found.append(Living(rows, filtered=True))
        return found
