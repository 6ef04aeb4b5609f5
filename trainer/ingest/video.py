"""Decode a video and pick the frames shown on a regular grid of presentation times."""

from __future__ import annotations  # av.Packet is generic to type checkers only

import os
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import cast

import av
import av.error
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from trainer.ingest import container as containers
from trainer.ingest.ahead import Ahead
from trainer.ingest.clock import Clock, Grid
from trainer.ingest.container import Extent
from trainer.ingest.errors import BadVideo
from trainer.ingest.subtitles import Cue
from trainer.ingest.text_tracks import TextTrack

# At one row a second eleven days: more is a damaged clock or a slip in --fps.
MOST_ROWS = 1_000_000


@dataclass(frozen=True, slots=True)
class Sample:
    """A frame and the rows it fills.

    image: (h, w, 3) uint8 RGB, upright, square pixels. row, rows: first grid row and how many in a run.
    pts: the file's own timestamp in ticks, None where it has none. time: seconds from the first frame.
    share: how much of the file is read, 0 to 1, as far as its header tells.
    """

    image: NDArray[np.uint8]
    row: int
    rows: int
    pts: int | None
    time: float
    share: float = 0.0


@dataclass(frozen=True, slots=True)
class VideoReport:
    """What is known once all frames are read.

    duration: seconds, end of the last frame. lead: seconds from the file's time 0 to the first frame, by
    which a sidecar's times are late. cues: embedded subtitles in seconds from the first frame. damaged:
    packets that did not decode. truncated: what is missing at the end, or None. text_warnings: of the
    embedded subtitles.
    """

    duration: float
    rows: int
    frames: int
    codec: str
    width: int
    height: int
    lead: float
    cues: tuple[Cue, ...]
    damaged: int
    truncated: str | None
    text_warnings: tuple[str, ...] = ()


class VideoSampler:
    """Iterate once over the samples of a file; then `report` tells the rest. Holds two frames at a time."""

    def __init__(
        self, path: Path, fps: Fraction, edge: int, *, keep_truncated: bool = False, threads: int = 0
    ) -> None:
        """edge: limit of a frame's short side in pixels. threads: of the decoder, 0 = one a core."""
        self.path = path
        self._expected: float | None = None
        self.report: VideoReport | None = None
        self._fps = fps
        self._edge = edge
        self._keep_truncated = keep_truncated
        self._threads = threads
        self._aspect = Fraction(1)
        self._scaler = VideoReformatter()
        self._damaged = self._packets = self._pictures = self._frames = 0
        self._left_out = False
        self._text: TextTrack | None = None
        self._ahead: Ahead | None = None

    def __iter__(self) -> Iterator[Sample]:
        """Yield samples in order of time.

        Raises BadVideo for a file that cannot be used, at the latest after its last sample.
        """
        with containers.opened(self.path) as container:
            stream = containers.video_stream(container)
            stream.codec_context.thread_count = self._threads
            stream.thread_type = "AUTO"
            self._aspect = stream.sample_aspect_ratio or Fraction(1)
            extent = Extent(container, stream, self.path)
            self._expected = extent.promised
            rate = stream.average_rate or stream.guessed_rate
            clock = Clock(stream.time_base or Fraction(1, 1000), 1 / (rate or self._fps))
            self._ahead = _ahead(container, stream, self._fps)
            yield from self._pick(container, stream, extent, clock)
            self._finish(container, stream, extent, clock)

    @property
    def decoded(self) -> int:
        """How many pictures were decoded so far; fewer than the file has where some need not be."""
        return self._frames

    def _pick(
        self, container: InputContainer, stream: VideoStream, extent: Extent, clock: Clock
    ) -> Iterator[Sample]:
        grid = Grid(self._fps)
        held: tuple[VideoFrame, float] | None = None
        for frame in self._decode(container, stream, extent):
            time = clock.place(frame.pts, frame.dts, frame.duration)
            if self._ahead is not None:
                self._ahead.origin = frame.pts if self._ahead.origin is None else self._ahead.origin
                # Two fields may be two packets, and pictures out of order tell of timestamps that are wrong.
                self._ahead.trusted &= clock.steady and not frame.interlaced_frame
            if time is None:
                continue
            if held is not None:
                yield from self._sample(held, grid.rows, grid.until(time))
            held = (frame, float(time))
        if held is not None:
            yield from self._sample(held, grid.rows, grid.close(clock.end))

    def _sample(self, held: tuple[VideoFrame, float], row: int, rows: int) -> Iterator[Sample]:
        if row + rows > MOST_ROWS:
            raise BadVideo(
                "corrupt", f"its timestamps would fill {row + rows} rows (limit {MOST_ROWS}); lower --fps"
            )
        if rows:
            frame, time = held
            share = min(1.0, time / self._expected) if self._expected else 0.0
            image = upright(frame, self._edge, self._aspect, self._scaler)
            yield Sample(image, row, rows, frame.pts, time, share)

    def _decode(self, container: InputContainer, stream: VideoStream, extent: Extent) -> Iterator[VideoFrame]:
        """Yield the frames that decode; count what does not and collect subtitles in the same pass."""
        self._text = TextTrack(container)
        # All streams, for the longest of them tells whether the file is whole.
        for packet, shown in self._look(extent.watched(container.demux())):
            self._text.take(packet)
            if packet.stream.index != stream.index:
                continue
            self._packets += packet.size > 0
            if self._ahead is not None:
                stream.codec_context.skip_frame = "DEFAULT" if shown or self._damaged else "NONREF"
            try:
                frames = stream.decode(packet)
            except av.error.FFmpegError:
                self._damaged += 1
                continue
            self._left_out |= not shown
            self._pictures += packet.size > 0 and not packet.is_discard
            self._frames += len(frames)
            yield from frames

    def _look(self, packets: Iterator[Packet[Stream]]) -> Iterator[tuple[Packet[Stream], bool]]:
        return ((packet, True) for packet in packets) if self._ahead is None else self._ahead.look(packets)

    def _finish(self, container: InputContainer, stream: VideoStream, extent: Extent, clock: Clock) -> None:
        truncated = extent.missing()
        if truncated and not (self._keep_truncated and self._frames):
            raise BadVideo(
                "truncated", f"{truncated}; fetch it again, or pass --keep-truncated to use what is there"
            )
        assert self._text is not None
        if not self._frames:
            codec = stream.codec_context.name
            raise BadVideo("corrupt", f"none of its {self._packets} video packets decodes as {codec}")
        if self._damaged * 2 > self._packets:
            raise BadVideo("corrupt", f"{self._damaged} of its {self._packets} video packets do not decode")
        self.report = VideoReport(
            duration=float(clock.end),
            rows=max(1, ceil(clock.end * self._fps)),
            # What is left out on purpose is a picture of the file as well.
            frames=self._pictures if self._left_out else self._frames,
            codec=stream.codec_context.name,
            width=stream.width,
            height=stream.height,
            lead=float(extent.lead(clock.first)),
            cues=self._text.cues(float(clock.first), float(clock.end)),
            damaged=self._damaged,
            truncated=truncated,
            text_warnings=self._text.warnings,
        )


def upright(
    frame: VideoFrame,
    edge: int,
    pixel_aspect: Fraction = Fraction(1),
    scaler: VideoReformatter | None = None,
) -> NDArray[np.uint8]:
    """Return the picture as a player shows it: (h, w, 3) uint8 RGB, short side at most `edge`.

    pixel_aspect: width of a pixel over its height. Smaller pictures are not enlarged. scaler: to be used for
    all frames of a video, for making one takes many times longer than scaling a small picture.
    """
    scaler = scaler or VideoReformatter()
    width, height = max(1, round(frame.width * pixel_aspect)), frame.height
    short = min(width, height)
    if short > edge:
        # Rounded down as image processors round, so that they find nothing left to resize.
        width, height = width * edge // short, height * edge // short
    # By itself it starts a thread a core: those cores decode.
    rgb = scaler.reformat(frame, width, height, "rgb24", interpolation="BICUBIC", threads=1)
    image = np.asarray(rgb.to_ndarray(), np.uint8)
    matrix = frame.side_data.get("DISPLAYMATRIX")
    return image if matrix is None else orient(image, np.frombuffer(bytes(cast(bytes, matrix)), np.int32))


def _ahead(container: InputContainer, stream: VideoStream, fps: Fraction) -> Ahead | None:
    """Return what finds pictures that need no decoding, None where that is not certain.

    Only H.264 says of each picture by itself whether others are made from it, and only these containers
    give every packet its own timestamps.
    """
    names = container.format.name.split(",")
    if stream.codec_context.name != "h264" or stream.time_base is None or not {"mp4", "matroska"} & {*names}:
        return None
    return Ahead(stream.index, stream.time_base, fps)


def orient(image: NDArray[np.uint8], matrix: NDArray[np.int32]) -> NDArray[np.uint8]:
    """Turn and mirror a picture by quarter turns as its display matrix [a b u c d v x y w] says."""
    a, b, c, d = (int(matrix[i]) for i in (0, 1, 3, 4))
    if abs(b) > abs(a):
        image = image.transpose(1, 0, 2)
        right, down = c, b
    else:
        right, down = a, d
    return np.ascontiguousarray(image[:: -1 if down < 0 else 1, :: -1 if right < 0 else 1])


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
