"""Which moments a ranked list has, and in what order: overlaps, duplicates, moments a video, groups."""

import asyncio

import numpy as np

from engine import duplicates, temporal
from engine.corpus import Corpus
from engine.duplicates import LookOf
from engine.looks import Looks
from engine.queries import SearchOptions
from engine.types import Moments


class Choosing:
    """Chooses moments of a version."""

    def __init__(self, corpus: Corpus) -> None:
        self._looks = Looks(corpus)

    async def of(self, moments: Moments, options: SearchOptions, most: int = duplicates.MOST) -> Moments:
        """Return what `chosen` does. Duplicates are looked for in a thread: that reads files."""
        if not options.merge_duplicates:
            return chosen(moments, options)
        return await asyncio.to_thread(chosen, moments, options, self._looks.of, most)


def chosen(
    moments: Moments, options: SearchOptions, look: LookOf | None = None, most: int = duplicates.MOST
) -> Moments:
    """Return the moments, best first, as the options want them.

    Overlaps go first, then duplicates among the `most` best, for which `look` is needed, then those too many.
    """
    if options.nms_iou is not None:
        moments = moments.of(np.asarray(temporal.suppress(moments.videos, moments.spans, options.nms_iou)))
    if options.merge_duplicates and look is not None:
        moments = duplicates.merged(moments, look, most)
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
