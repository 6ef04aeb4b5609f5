"""Small JPEG pictures of a video: the frame at a time, and strips of several."""

import io
import itertools
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av.error
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray
from PIL import Image

from engine.errors import NotFound
from trainer.ingest.container import opened, video_stream
from workers.upright import upright

PATIENCE = 10.0  # seconds of decoding for one answer
MOST_FRAMES = 900  # decoded after a key frame
QUALITY = 82


@dataclass(frozen=True, slots=True)
class Picture:
    """A JPEG file."""

    data: bytes

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self.data)


def thumbnail(path: Path, seconds: float, edge: int) -> Picture:
    """Return the frame at a time, its short side at most `edge`; BadVideo, or NotFound where none decodes."""
    with opened(path) as container:
        stream = video_stream(container, path)
        return _jpeg(_at(container, stream, seconds, edge, time.monotonic() + PATIENCE))


def strip(path: Path, times: Sequence[float], edge: int) -> Picture:
    """Return the frames at some times side by side, all as wide as the first."""
    ends = time.monotonic() + PATIENCE
    shots: list[NDArray[np.uint8]] = []
    with opened(path) as container:
        stream = video_stream(container, path)
        for seconds in times:
            late = shots and time.monotonic() > ends
            shots.append(shots[-1] if late else _at(container, stream, seconds, edge, ends))
    return _side_by_side([Image.fromarray(shot) for shot in shots])


def joined(files: Sequence[bytes]) -> Picture:
    """Return JPEGs side by side, all as wide as the first."""
    return _side_by_side([Image.open(io.BytesIO(data), formats=["JPEG"]) for data in files])


def _side_by_side(shots: Sequence[Image.Image]) -> Picture:
    width, height = shots[0].size
    strip = Image.new("RGB", (width * len(shots), height))
    for place, shot in enumerate(shots):
        strip.paste(shot.resize((width, height)), (place * width, 0))
    return _encoded(strip)


def evenly(path: Path, start: float, end: float | None, most: int, edge: int) -> list[NDArray[np.uint8]]:
    """Return at most so many frames of a span in seconds, evenly apart, a second at least.

    BadVideo, or NotFound where the file has no such span.
    """
    with opened(path) as container:
        stream = video_stream(container, path)
        length = float(container.duration or 0) / 1e6
        last = length if end is None else min(end, length) if length else end
        if not start < last:
            raise NotFound(f"{path} has {length:g} s, and nothing from {start:g} s on", "NO_PICTURE")
        count = min(most, math.ceil(last - start))
        times = [start + (last - start) * (number + 0.5) / count for number in range(count)]
        ends = time.monotonic() + PATIENCE
        return [_at(container, stream, seconds, edge, ends) for seconds in times]


def first_time(stream: VideoStream) -> float:
    """Return the container's time of the first frame, which is the second 0 of all times here."""
    return float((stream.start_time or 0) * (stream.time_base or 0))


def _at(
    container: InputContainer, stream: VideoStream, seconds: float, edge: int, ends: float
) -> NDArray[np.uint8]:
    wanted = first_time(stream) + seconds
    base = float(stream.time_base or 1)
    container.seek(max(0, round(wanted / base)), stream=stream, backward=True)
    found: VideoFrame | None = None
    try:
        for frame in itertools.islice(container.decode(stream), MOST_FRAMES):
            if found is not None and frame.time is not None and frame.time > wanted + 1e-3:
                break
            found = frame
            if time.monotonic() > ends:
                break
    except av.error.FFmpegError:
        if found is None:
            raise NotFound("no picture of it can be decoded there", "NO_PICTURE") from None
    if found is None:
        raise NotFound("it has no picture there", "NO_PICTURE")
    return upright(found, edge, stream.sample_aspect_ratio or Fraction(1))


def _jpeg(image: NDArray[np.uint8]) -> Picture:
    return _encoded(Image.fromarray(image))


def _encoded(image: Image.Image) -> Picture:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=QUALITY, optimize=True)
    return Picture(out.getvalue())
