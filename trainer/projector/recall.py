"""How many of a query's segments and videos are among the top K of a corpus: one pass, all K at once."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from engine.errors import InvalidInput

QUERIES_AT_ONCE = 64
UNRANKED = np.iinfo(np.int32).max


@dataclass(frozen=True)
class RelevantSegments:
    """The relevant segments of queries, as columns: query row, segment number, weight above zero.

    videos: (segments,) int64 video number of every corpus segment. queries: how many query rows there are.
    Queries without a pair do not count in any mean.
    """

    query: NDArray[np.int64]
    segment: NDArray[np.int64]
    weight: NDArray[np.float64]
    videos: NDArray[np.int64]
    queries: int


def recalls(
    queries: torch.Tensor, segments: torch.Tensor, truth: RelevantSegments, ks: Sequence[int]
) -> dict[str, float]:
    """Return {"recall@K", "weighted-recall@K", "video-recall@K", "videos@K"}, means over judged queries.

    queries: (n, dim) and segments: (m, dim), both of unit length. A K above m means m, under the name
    that was asked for. Recall: the share of a query's relevant segments in its top K. Weighted: the
    share of their weight. Video recall: the share of their videos that the top K names. Videos: how many it
    names. InvalidInput for vectors whose products are not finite.
    """
    judged = np.unique(truth.query)
    ranks, video_ranks, named = _ranked(queries, segments, truth, ks)
    # A video counts once a query, however many of its segments are relevant.
    pair = truth.query * (truth.videos.max(initial=0) + 1) + truth.videos[truth.segment]
    distinct = np.unique(pair, return_index=True)[1]
    ones = np.ones(len(ranks))
    result: dict[str, float] = {}
    for position, k in enumerate(ks):
        result[f"recall@{k}"] = _share(truth.query, ranks < k, ones, judged)
        result[f"weighted-recall@{k}"] = _share(truth.query, ranks < k, truth.weight, judged)
        result[f"video-recall@{k}"] = _share(
            truth.query[distinct], video_ranks[distinct] < k, ones[distinct], judged
        )
        result[f"videos@{k}"] = float(named[position, judged].mean())
    return result


def _ranked(
    queries: torch.Tensor, segments: torch.Tensor, truth: RelevantSegments, ks: Sequence[int]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Return the ranks of every pair's segment and video, (pairs,), and the videos named, (ks, queries)."""
    deepest = min(max(ks), len(segments))
    judged = np.unique(truth.query)
    ranks = np.empty(len(truth.query), np.int64)
    video_ranks = np.empty(len(truth.query), np.int64)
    videos_seen = np.zeros((len(ks), truth.queries))
    for first in range(0, len(judged), QUERIES_AT_ONCE):
        rows = judged[first : first + QUERIES_AT_ONCE]
        scores = queries[torch.from_numpy(rows).to(queries.device)] @ segments.T
        if not bool(scores.isfinite().all()):
            raise InvalidInput("Scores that are not finite have no order; the vectors are of no sound model.")
        top = torch.topk(scores, deepest).indices
        by_segment, by_video = _ranks(top.cpu().numpy(), truth.videos)
        pairs = np.flatnonzero(np.isin(truth.query, rows))
        local = np.searchsorted(rows, truth.query[pairs])
        ranks[pairs] = by_segment[local, truth.segment[pairs]]
        video_ranks[pairs] = by_video[local, truth.videos[truth.segment[pairs]]]
        for position, k in enumerate(ks):
            videos_seen[position, rows] = (by_video < k).sum(axis=1)
    return ranks, video_ranks, videos_seen


def _ranks(top: NDArray[np.int64], videos: NDArray[np.int64]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return from (n, k) best segments the rank of every segment (n, m) and of every video (n, videos)."""
    rows = np.arange(len(top))[:, None]
    order = np.arange(top.shape[1], dtype=np.int32)
    by_segment = np.full((len(top), len(videos)), UNRANKED, np.int32)
    by_segment[rows, top] = order
    by_video = np.full((len(top), videos.max(initial=0) + 1), UNRANKED, np.int32)
    np.minimum.at(by_video, (rows, videos[top]), order)
    return by_segment, by_video


def _share(
    query: NDArray[np.int64], hit: NDArray[np.bool_], weight: NDArray[np.float64], judged: NDArray[np.int64]
) -> float:
    """Return the mean over judged queries of hit weight over all weight."""
    if not len(judged):
        return 0.0
    found = np.bincount(query, weight * hit, minlength=judged[-1] + 1)
    whole = np.bincount(query, weight, minlength=judged[-1] + 1)
    return float((found[judged] / whole[judged]).mean())
