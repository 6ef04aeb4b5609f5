"""Decoded frames to small upright RGB pictures: the one featurisation, of videos and of pictures alike."""

from fractions import Fraction

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from workers.side_data import display_matrix

# A picture longer than so many times the short side's limit is squeezed: pixel aspects in files can say
# anything, and an encoder crops or squeezes to a square in any case.
LONGEST = 32


def upright(
    frame: VideoFrame,
    edge: int,
    pixel_aspect: Fraction = Fraction(1),
    scaler: VideoReformatter | None = None,
) -> NDArray[np.uint8]:
    """Return the picture as a player shows it: (h, w, 3) uint8 RGB, short side at most `edge`.

    pixel_aspect: width of a pixel over its height. Smaller pictures are not enlarged. scaler: shared by
    all frames of a video, since making one takes many times longer than scaling a small picture.
    """
    scaler = scaler or VideoReformatter()
    width, height = max(1, round(frame.width * pixel_aspect)), frame.height
    short = min(width, height)
    if short > edge:
        # Rounded down as image processors round, so that they find nothing left to resize.
        width, height = width * edge // short, height * edge // short
    width, height = min(width, LONGEST * edge), min(height, LONGEST * edge)
    # The scaler would start a thread a core by default; those cores decode.
    rgb = scaler.reformat(frame, width, height, "rgb24", interpolation="BICUBIC", threads=1)
    image = np.asarray(rgb.to_ndarray(), np.uint8)
    matrix = display_matrix(rgb)
    return image if matrix is None else orient(image, matrix)


def orient(image: NDArray[np.uint8], matrix: NDArray[np.int32]) -> NDArray[np.uint8]:
    """Turn and mirror a picture by quarter turns as its display matrix [a b u c d v x y w] says."""
    a, b, c, d = (int(matrix[i]) for i in (0, 1, 3, 4))
    if abs(b) > abs(a):
        image = image.transpose(1, 0, 2)
        right, down = c, b
    else:
        right, down = a, d
    return np.ascontiguousarray(image[:: -1 if down < 0 else 1, :: -1 if right < 0 else 1])
