"""Which moments of a ranked list an answer has, and in what order: overlaps, moments a video, groups."""

import numpy as np

from engine import temporal
from engine.queries import SearchOptions
from engine.types import Moments


def chosen(moments: Moments, options: SearchOptions) -> Moments:
    """Return the moments, best first, as the options want them: overlaps go first, then those too many."""
    if options.nms_iou is not None:
        moments = moments.of(np.asarray(temporal.suppress(moments.videos, moments.spans, options.nms_iou)))
    if options.per_video is not None:
        moments = _at_most(moments, options.per_video)
    return _grouped(moments) if options.grouped else moments


def _at_most(moments: Moments, most: int) -> Moments:
    """Return the first `most` moments of each video."""
    order = np.argsort(moments.videos, kind="stable")
    videos = moments.videos[order]
    # Of each row the first one of its video, both in that order.
    firsts = np.searchsorted(videos, videos)
    return moments.of(np.sort(order[np.arange(len(order)) - firsts < most]))


def _grouped(moments: Moments) -> Moments:
    """Return the moments of a video together, the video with the best moment first."""
    _, firsts, of_video = np.unique(moments.videos, return_index=True, return_inverse=True)
    return moments.of(np.argsort(firsts[of_video], kind="stable"))
