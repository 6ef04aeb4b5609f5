"""Filters: which videos of a version may be found, and which part of each.

A filter is resolved once a version to the ordinals that it lets through: every shard gets its own, and the
index searches among them alone.
"""

import asyncio
import functools
import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from urllib.parse import unquote, urlsplit

import numpy as np
from cachetools import LRUCache
from numpy.typing import NDArray

from engine.catalogue import Catalogue
from engine.types import Doubles, Hits, Ordinals, Proposals, Ranked
from spr.internal.v1 import index_shard_service_pb2 as shard_pb

Mask = NDArray[np.bool_]
Range = tuple[float, float]
EVERYTHING: Range = (-math.inf, math.inf)
# Filters that a version keeps resolved: a byte a video each.
_KEPT = 32


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part [start, end) of every video, in seconds, or in shares of its duration."""

    start: float = 0.0
    end: float = math.inf
    shares: bool = False

    def __bool__(self) -> bool:
        return self.start > 0 or self.end < (1 if self.shares else math.inf)

    def bounds(self, durations: Doubles) -> Doubles:
        """Return where it lies in videos of these durations (n,), (n, 2) seconds; empty if start >= end."""
        scale = durations if self.shares else np.ones(len(durations))
        ends = durations if math.isinf(self.end) else np.minimum(self.end * scale, durations)
        return np.stack([np.minimum(self.start * scale, durations), ends], axis=1)

    def overlaps(self, segments: Ordinals, durations: Doubles, length: float) -> Mask:
        """Return (n,) which segments of `length` seconds, of videos of these durations (n,), it touches."""
        starts, ends = self.bounds(durations).T
        touched = (segments * length < ends) & ((segments + 1) * length > starts)
        return np.asarray(touched & (starts < ends))


@dataclass(frozen=True, slots=True)
class Filter:
    """What has to hold of a video. Empty: everything does. dates: seconds since 1970, the end excluded.

    durations: seconds, both included.
    """

    videos: frozenset[str] = frozenset()
    any_labels: frozenset[str] = frozenset()
    all_labels: frozenset[str] = frozenset()
    no_labels: frozenset[str] = frozenset()
    folder: str = ""
    dates: Range = EVERYTHING
    durations: Range = EVERYTHING
    stretch: Stretch = Stretch()


@dataclass(frozen=True, eq=False)
class Allowed:
    """What a filter lets through of a version. videos: (n,) by ordinal. count: of them.

    told: what each shard is told of it, by the shard's number; None where it has no such video.
    """

    videos: Mask
    count: int
    stretch: Stretch
    told: dict[int, shard_pb.Allowed | None] = field(default_factory=dict)

    def holds(self, hits: Hits, durations: Doubles, length: float) -> bool:
        """Whether it lets all hits through. durations: (n,) seconds by ordinal. length: of a segment."""
        videos = hits.videos
        within = not self.stretch or self.stretch.overlaps(hits.segments, durations[videos], length).all()
        return bool(self.videos[videos].all() and within)

    def cut(self, proposals: Proposals, durations: Doubles) -> Proposals:
        """Return proposals of what it lets through, cut to the part of their videos."""
        if not self.stretch:
            return proposals
        bounds = self.stretch.bounds(durations[proposals.videos])
        return replace(proposals, spans=np.clip(proposals.spans, bounds[:, :1], bounds[:, 1:]))

    def cut_refined(self, ranked: Ranked, proposals: Proposals, durations: Doubles) -> Ranked:
        """Return moments cut likewise; one that was moved out of the part has its proposal's span again."""
        if not self.stretch:
            return ranked
        bounds = self.stretch.bounds(durations[proposals.videos])
        spans = np.clip(ranked.spans, bounds[:, :1], bounds[:, 1:])
        inside = spans[:, 1] > spans[:, 0]
        spans = np.where(inside[:, None], spans, proposals.spans)
        return replace(ranked, spans=spans, refined=ranked.refined & inside)


class Filters:
    """Resolves filters over one version's catalogue; the latest are kept."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._kept: LRUCache[Filter, Allowed] = LRUCache(_KEPT)

    async def allowed(self, wanted: Filter) -> Allowed:
        """Return what a filter lets through; in a thread, as a large version takes a while."""
        found = self._kept.get(wanted)
        if found is None:
            self._kept[wanted] = found = await asyncio.to_thread(self.resolve, wanted)
        return found

    def resolve(self, wanted: Filter) -> Allowed:
        """Return what a filter lets through."""
        catalogue, facts = self._catalogue, self._catalogue.facts
        mask = np.ones(len(catalogue), np.bool_)
        if wanted.videos:
            mask &= self._are(self._known(wanted.videos))
        if wanted.any_labels:
            mask &= self._are(video for label in wanted.any_labels for video in self._labelled.get(label, ()))
        for label in wanted.all_labels:
            mask &= self._are(self._labelled.get(label, ()))
        for label in wanted.no_labels:
            mask &= ~self._are(self._labelled.get(label, ()))
        if wanted.folder:
            mask &= self._in_folder(wanted.folder)
        if wanted.dates != EVERYTHING:
            # NaN, a video without a date, is in no range.
            mask &= (facts.dates >= wanted.dates[0]) & (facts.dates < wanted.dates[1])
        if wanted.durations != EVERYTHING:
            low, high = wanted.durations
            mask &= (catalogue.durations >= low) & (catalogue.durations <= high)
        if wanted.stretch:
            starts, ends = wanted.stretch.bounds(catalogue.durations).T
            mask &= starts < ends
        return Allowed(mask, int(mask.sum()), wanted.stretch)

    def _are(self, ordinals: Iterable[int]) -> Mask:
        mask = np.zeros(len(self._catalogue), np.bool_)
        mask[np.fromiter(ordinals, np.int64)] = True
        return mask

    def _known(self, ids: Iterable[str]) -> Iterable[int]:
        return (found for video in ids if (found := self._catalogue.find(video)) is not None)

    @functools.cached_property
    def _labelled(self) -> dict[str, list[int]]:
        """Ordinals by label."""
        found: dict[str, list[int]] = {}
        for ordinal, labels in enumerate(self._catalogue.facts.labels):
            for label in labels:
                found.setdefault(label, []).append(ordinal)
        return found

    @functools.cached_property
    def _folders(self) -> tuple[list[str], Ordinals]:
        """The folders of all files, each once, with a slash on both sides; and (n,) each video's."""
        numbers: dict[str, int] = {}
        places = [numbers.setdefault(_folder_of(uri), len(numbers)) for uri in self._catalogue.uris]
        return list(numbers), np.array(places, np.int32)

    def _in_folder(self, folder: str) -> Mask:
        folders, places = self._folders
        wanted = f"/{folder.strip('/')}/".replace("//", "/")
        whole = folder.startswith("/")
        inside = [path.startswith(wanted) if whole else wanted in path for path in folders]
        return np.asarray(np.array(inside, np.bool_)[places])


def _folder_of(uri: str) -> str:
    """Return the folder of a file by its URI, with a slash first and last."""
    try:
        path = unquote(urlsplit(uri).path)
    except ValueError:
        path = uri
    return f"/{path.rpartition('/')[0].strip('/')}/".replace("//", "/")
