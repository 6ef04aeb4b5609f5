"""What lies beside the pixels of a decoded picture: how it is turned, closed captions."""

import contextlib
from typing import Any

import numpy as np
from av.sidedata.sidedata import SideDataContainer, Type
from av.video.frame import VideoFrame
from numpy.typing import NDArray

# Of a display matrix, as FFmpeg writes it.
_ONE = 1 << 16


def side_data(frame: VideoFrame, kind: Type) -> bytes | None:
    """Return what lies beside a picture; None for nothing, or where PyAV knows not all that lies there."""
    # `frame.side_data` makes a reference cycle, which keeps a decoded picture in memory for long.
    listing: Any = SideDataContainer
    with contextlib.suppress(KeyError, ValueError):
        return bytes(listing(frame)[kind])
    return None


def display_matrix(frame: VideoFrame) -> NDArray[np.int32] | None:
    """Return (9,) int32, how a player turns and mirrors a picture; None where it is shown as it lies."""
    if (found := side_data(frame, Type.DISPLAYMATRIX)) is not None:
        return np.frombuffer(found, np.int32)
    # Beside what PyAV does not know there is the angle alone, counterclockwise.
    if not frame.rotation:
        return None
    angle = np.deg2rad(frame.rotation)
    across, along = round(np.cos(angle) * _ONE), round(np.sin(angle) * _ONE)
    return np.array([across, -along, 0, along, across, 0, 0, 0, 1 << 30], np.int32)
