"""What a ranker makes of sentences and windows: tensors with names."""

from typing import NamedTuple

from torch import Tensor


class QueryEncoding(NamedTuple):
    """An encoded sentence: what to look for in the picture and in the subtitles, (n, h) each."""

    video: Tensor
    subtitle: Tensor


class QueryTensors(NamedTuple):
    """All that ranking needs of a query, (n, h) each.

    unit_*: meet a clip's unit vector, and the mean of the two is its relevance. linear_*: meet its vector.
    """

    unit_video: Tensor
    unit_subtitle: Tensor
    linear_video: Tensor
    linear_subtitle: Tensor


class BiasTables(NamedTuple):
    """What is added by the place in a window, (2R + 1,) each, distances clipped to -R..R.

    start: to start logits, by clip - the proposal's first. end: to end logits, by clip - the proposal's last.
    outside: to a clip's similarity, by its distance from the proposal, 0 inside.
    """

    start: Tensor
    end: Tensor
    outside: Tensor


class WindowEncoding(NamedTuple):
    """Encoded windows: mid and final features (n, length, h) and mask (n, length), 1 = valid."""

    video_mid: Tensor
    subtitle_mid: Tensor
    video: Tensor
    subtitle: Tensor
    mask: Tensor
