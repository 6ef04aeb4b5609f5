"""Decoded frames until it is known whether they are sampled."""

from fractions import Fraction

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from workers.upright import upright

# Pixels: twice those of 4K.
LARGE = 16 << 20


class Shot:
    """A decoded frame until it is known whether it is sampled."""

    def __init__(self, frame: VideoFrame) -> None:
        """Hold the decoder's frame."""
        self.pts = frame.pts
        # Whether it takes too much memory to be kept until it is known.
        self.large = frame.width * frame.height > LARGE
        self._frame: VideoFrame | None = frame
        self._image: NDArray[np.uint8] | None = None

    def image(self, edge: int, aspect: Fraction, scaler: VideoReformatter) -> NDArray[np.uint8]:
        """Return the small picture; the large one is let go."""
        if self._frame is not None:
            # The scaler keeps a reference to the last picture.
            fitting = None if self.large else scaler
            self._image, self._frame = upright(self._frame, edge, aspect, fitting), None
        assert self._image is not None
        return self._image
