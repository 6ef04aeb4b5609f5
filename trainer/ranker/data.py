"""Training pairs and validation queries as columns; a batch is a function of the step alone."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from engine.types import Doubles, Floats, Ordinals, Proposals
from trainer.collection.annotations import JudgedQuery
from trainer.collection.retrieval import seen_moments
from trainer.ranker.labels import ClipLabels, clip_labels, foreground
from trainer.ranker.lists import Lists, window_parts
from trainer.ranker.losses import Targets
from trainer.ranker.mining import Mined, around
from trainer.ranker.settings import RankerSettings
from workers.ranker.model.windows import (
    WindowConfig,
    Windows,
    cut,
    gather,
    proposal_clips,
    token_batch,
    widened,
)
from workers.ranker.stores.features import FeatureMaps

Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class MomentPairs:
    """(query, pseudo-positive moment) pairs as columns, and which captions each query accepts.

    query: (n,) query row. pair: (n,) the moment's pair_id. video: (n,) ordinal. moments: (n, 2) seconds.
    caption: (n,) number of its text. similarity: (n,). accepted: sorted keys query * captions + caption.
    """

    query: Integers
    pair: Integers
    video: Ordinals
    moments: Doubles
    caption: Integers
    similarity: Floats
    accepted: Integers
    captions: int

    def __len__(self) -> int:
        return len(self.query)

    def positives(self, rows: Integers) -> NDArray[np.bool_]:
        """Return (n, n): whether the query of row a accepts the caption of row b; the diagonal is true."""
        keys = self.query[rows][:, None] * self.captions + self.caption[rows][None, :]
        found = np.minimum(np.searchsorted(self.accepted, keys), len(self.accepted) - 1)
        return np.asarray((self.accepted[found] == keys) | np.eye(len(rows), dtype=bool))

    def take(self, rows: NDArray[np.bool_]) -> "MomentPairs":
        """Return some of the pairs; what queries accept stays."""
        return replace(
            self,
            query=self.query[rows],
            pair=self.pair[rows],
            video=self.video[rows],
            moments=self.moments[rows],
            caption=self.caption[rows],
            similarity=self.similarity[rows],
        )


def pairs_of(queries: Sequence[JudgedQuery], ordinals: dict[str, int], min_similarity: float) -> MomentPairs:
    """Return the pairs of a split whose video has an ordinal and whose similarity is at least the given."""
    captions: dict[str, int] = {}
    rows: list[tuple[int, int, float, float, int, float, int]] = []
    for row, judged in enumerate(queries):
        for moment in judged.moments:
            if moment.video in ordinals and moment.similarity >= min_similarity:
                number = captions.setdefault(moment.caption, len(captions))
                place = ordinals[moment.video]
                span = moment.start, moment.end
                rows.append((row, place, *span, number, moment.similarity, moment.pair_id))
    table = np.array(rows, np.float64).reshape(-1, 7)
    query, caption, pair = (table[:, column].astype(np.int64) for column in (0, 4, 6))
    accepted = np.unique(query * len(captions) + caption)
    video, similarity = table[:, 1].astype(np.int32), table[:, 5].astype(np.float32)
    return MomentPairs(query, pair, video, table[:, 2:4].copy(), caption, similarity, accepted, len(captions))


def mine(
    pairs: MomentPairs,
    proposed: Iterable[Proposals],
    contexts: FeatureMaps,
    window: WindowConfig,
    settings: RankerSettings,
) -> tuple[Mined, Mined]:
    """Return of proposals, by query, those that show a pair's moment, by pair, and those that show none.

    The latter are by query, and show none of the moments of its pairs.
    """
    order = np.argsort(pairs.query, kind="stable")
    owners = pairs.query[order]
    right: list[tuple[Ordinals, Doubles]] = [(np.zeros(0, np.int32), np.zeros((0, 2)))] * len(pairs)
    wrong = []
    for row, proposals in enumerate(proposed):
        own = order[slice(*np.searchsorted(owners, [row, row + 1]))]
        moments, videos = pairs.moments[own], pairs.video[own]
        shown = seen_moments(proposals, videos, moments, window.context, settings.min_cover)
        for pair, columns in zip(own, shown, strict=True):
            right[pair] = proposals.videos[columns], proposals.spans[columns]
        seen = seen_moments(proposals, videos, moments, window.context, 0.0).any(0)
        wrong.append((proposals.videos[~seen], proposals.spans[~seen]))
    mined = Mined.of(right)
    return mined.take(label(mined.owners, mined.spans, pairs, contexts, window)[1].valid), Mined.of(wrong)


def trainable(
    pairs: MomentPairs, contexts: FeatureMaps, length: float, window: WindowConfig
) -> NDArray[np.bool_]:
    """Return which pairs have at least one feature row of their moment: (n,)."""
    spans = around(pairs.moments, contexts.durations[pairs.video], length, np.random.default_rng(0))
    return label(np.arange(len(pairs)), spans, pairs, contexts, window)[1].valid


def label(
    rows: Integers, spans: Doubles, pairs: MomentPairs, contexts: FeatureMaps, window: WindowConfig
) -> tuple[Windows, ClipLabels]:
    """Return the windows of spans (n, 2) and where in them the moments of the pairs `rows` (n,) lie."""
    windows = cut(pairs.video[rows], spans, contexts, window)
    return windows, clip_labels(windows, pairs.moments[rows], window.clip_length)


class WindowTensors(NamedTuple):
    """What the model reads of windows: video, subtitles (n, l, dim) and mask (n, l) of 1 = valid.

    inner: (n, l) 1 = clip of the window itself; other valid clips are its surroundings, which a model without
    positions sees. places: (n, 2) first and last clip of the proposal.
    """

    video: torch.Tensor
    subtitles: torch.Tensor
    mask: torch.Tensor
    inner: torch.Tensor
    places: torch.Tensor


@dataclass(frozen=True, slots=True)
class Batch:
    """One step's input: tokens (n, t, dim) and mask, the pairs' windows and what to find in them.

    windows: those of the n pairs, then those of lists. worth: (n, windows) with lists, what each is worth to
    each query. wrong: with hard negatives, a window for each query that it does not want, masked where none
    is. seed: what it was drawn by.
    """

    tokens: torch.Tensor
    token_mask: torch.Tensor
    windows: WindowTensors
    targets: Targets
    wrong: WindowTensors | None
    worth: torch.Tensor | None
    seed: Sequence[int]


@dataclass(frozen=True, slots=True)
class TrainingData:
    """All that batches are made of.

    mined: proposals by pair. wrong: by query, for hard negatives; None without them. tokens: one (t, dim)
    array a query. lists: for listwise losses. halo: clips around a window that its contexts depend on.
    """

    contexts: FeatureMaps
    pairs: MomentPairs
    mined: Mined
    wrong: Mined | None
    tokens: Sequence[Floats]
    window: WindowConfig
    segment_length: float
    by_similarity: bool
    lists: Lists | None = None
    halo: int = 0

    def batch(self, rows: Integers, seed: Sequence[int], device: torch.device) -> Batch:
        """Return the batch of pairs `rows`; the same seed draws the same proposals."""
        pairs, rng = self.pairs, np.random.default_rng(list(seed))
        _, mined, there = self.mined.draw(rows, rng)
        durations = self.contexts.durations[pairs.video[rows]]
        made = around(pairs.moments[rows], durations, self.segment_length, rng)
        spans = np.where(there[:, None], mined, made)
        windows, labels = label(rows, spans, pairs, self.contexts, self.window)
        n, worth = len(rows), None
        if self.lists is not None:
            videos, more = self.lists.draw(pairs.query[rows], rng)
            windows = window_parts([windows, cut(videos, more, self.contexts, self.window)])
            spans = np.concatenate([spans, more])
            worth = _tensor(self.lists.graded.worth(pairs.query[rows], windows), device)
        tensors, before = self._tensors(windows, spans, device)
        labels = replace(labels, first=labels.first + before[:n], last=labels.last + before[:n])
        tokens, token_mask = token_batch([self.tokens[query] for query in pairs.query[rows]], self.window)
        weights = pairs.similarity[rows] if self.by_similarity else np.ones(len(rows), np.float32)
        targets = Targets(
            clips=_tensor(np.stack([labels.first, labels.last], axis=1), device),
            foreground=_tensor(foreground(labels, tensors.mask.shape[1]), device),
            positives=_tensor(pairs.positives(rows), device),
            weights=_tensor(weights, device),
        )
        return Batch(
            tokens=_tensor(tokens, device),
            token_mask=_tensor(token_mask, device),
            windows=tensors,
            targets=targets,
            wrong=self._wrong(pairs.query[rows], rng, device),
            worth=worth,
            seed=seed,
        )

    def _tensors(
        self, windows: Windows, spans: Doubles, device: torch.device
    ) -> tuple[WindowTensors, Integers]:
        """Return windows with their surroundings, and how many clips of those stand before each, (n,)."""
        wide, before = windows, np.zeros(len(windows), np.int64)
        if self.halo:
            wide, before = widened(windows, self.halo, self.contexts, self.window)
        most = self.window.max_clips + 2 * self.halo
        clips = gather(wide, self.contexts, replace(self.window, max_clips=most))
        places = np.arange(clips.mask.shape[1]) - before[:, None]
        inner = ((places >= 0) & (places < windows.lengths[:, None])).astype(np.float32)
        proposals = proposal_clips(windows, spans) + before[:, None]
        columns = (clips.video, clips.subtitles, clips.mask, inner, proposals)
        return WindowTensors(*(_tensor(column, device) for column in columns)), before

    def _wrong(
        self, queries: Integers, rng: np.random.Generator, device: torch.device
    ) -> WindowTensors | None:
        if self.wrong is None:
            return None
        videos, spans, there = self.wrong.draw(queries, rng)
        windows = cut(videos, spans, self.contexts, self.window)
        tensors, _ = self._tensors(windows, spans, device)
        shown = _tensor(there.astype(np.float32), device)[:, None]
        return tensors._replace(mask=tensors.mask * shown, inner=tensors.inner * shown)


def _tensor(array: NDArray[Any], device: torch.device) -> torch.Tensor:
    return torch.from_numpy(array).to(device)
