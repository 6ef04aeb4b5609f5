"""Decode a video and pick the frames shown on a regular grid of presentation times."""

from __future__ import annotations  # av.Packet is generic to type checkers only

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from pathlib import Path

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

from engine.cores import cores
from trainer.ingest import container as containers
from trainer.ingest import reasons
from trainer.ingest.ahead import Ahead, Use
from trainer.ingest.clock import Clock
from trainer.ingest.damage import Damage
from trainer.ingest.errors import BadVideo
from trainer.ingest.extent import Extent, short
from trainer.ingest.grid import Grid
from trainer.ingest.limits import DEFAULT, Admit, Limits, decoder_threads, no_wait
from trainer.ingest.picture import Shot
from trainer.ingest.subtitles import Cue
from trainer.ingest.text_tracks import TextTrack


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
    which a sidecar's times are late. cues: embedded subtitles in seconds from the first frame. language: of
    these, ISO 639. damaged: pictures that are missing, incomplete or patched. truncated: what is missing at
    the end, or None. warnings: sentences on what is odd. text_warnings: of the embedded subtitles.
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
    warnings: tuple[str, ...] = ()
    text_warnings: tuple[str, ...] = ()
    language: str = ""


class VideoSampler:
    """Iterate once over the samples of a file; then `report` tells the rest. Holds two frames at a time."""

    def __init__(
        self,
        path: Path,
        fps: Fraction,
        edge: int,
        *,
        keep_truncated: bool = False,
        threads: int = 0,
        limits: Limits = DEFAULT,
        admit: Admit = no_wait,
    ) -> None:
        """edge: limit of a frame's short side in pixels. threads: of the decoder, 0 = one a core.

        admit: called with the pixels of a picture before any is decoded; may wait.
        """
        self.path, self._fps, self._edge = path, fps, edge
        self.report: VideoReport | None = None
        self._expected: float | None = None
        self._keep_truncated = keep_truncated
        self._threads, self._limits, self._admit = threads or cores(), limits, admit
        self._aspect, self._scaler = Fraction(1), VideoReformatter()
        self._pictures = self._frames = self._size = 0
        self._left_out = self._started = False
        self._held: tuple[Shot, Fraction] | None = None
        self._text: TextTrack | None = None
        self._ahead: Ahead | None = None

    def __iter__(self) -> Iterator[Sample]:
        """Yield samples in order of time.

        Raises BadVideo for a file that cannot be used, at the latest after its last sample.
        """
        with containers.opened(self.path, self._limits) as container:
            stream = containers.video_stream(container, self.path, self._limits)
            pixels = stream.width * stream.height
            self._admit(pixels)
            stream.codec_context.thread_count = decoder_threads(self._threads, pixels)
            stream.thread_type = "AUTO"
            self._aspect = stream.sample_aspect_ratio or Fraction(1)
            self._size = container.size
            extent = Extent(container, stream, self.path)
            self._damage = Damage.of(container, stream)
            self._expected = extent.expected
            self._ahead = Ahead.of(container, stream, self._fps)
            yield from self._pick(container, stream, extent)

    @property
    def decoded(self) -> int:
        """How many pictures were decoded so far; fewer than the file has where some need not be."""
        return self._frames

    def _pick(self, container: InputContainer, stream: VideoStream, extent: Extent) -> Iterator[Sample]:
        clock: Clock[Shot] = extent.clock(self._fps)
        grid = Grid(self._fps)
        for frame in self._decode(container, stream, extent):
            if not self._started:
                self._start(clock, frame)
            shot = Shot(frame)
            # Pictures that are left out on purpose leave no gaps.
            clock.counts_gaps = self._ahead is None or self._damage.failed > 0
            before = None if self._ahead is None else self._ahead.before(frame.pts)
            placed = clock.place(shot, frame.pts, frame.dts, frame.duration, before)
            if self._ahead is not None:
                # Two fields may be two packets, and pictures out of order tell of timestamps that are wrong.
                self._ahead.trusted &= clock.steady and not frame.interlaced_frame
            yield from self._fill(grid, placed)
            if clock.unsure or shot.large:
                shot.image(self._edge, self._aspect, self._scaler)
            del frame
        yield from self._fill(grid, clock.close())
        end = extent.end(clock)
        if self._held is not None:
            yield from self._sample(self._held, grid.rows, grid.close(end))
        self._finish(stream, extent, clock, end)

    def _start(self, clock: Clock[Shot], frame: VideoFrame) -> None:
        """Let time begin at the first packet where pictures before the first frame do not decode."""
        self._started = True
        self._limits.check_size(frame.width, frame.height)
        head = self._damage.head
        if self._damage.failed and head is not None and frame.pts is not None and head < frame.pts:
            clock.begin(head)
        if self._ahead is not None:
            self._ahead.origin = frame.pts

    def _fill(self, grid: Grid, placed: list[tuple[Shot, Fraction]]) -> Iterator[Sample]:
        for shot, time in placed:
            if self._held is not None:
                yield from self._sample(self._held, grid.rows, grid.until(time))
            self._held = shot, time

    def _sample(self, held: tuple[Shot, Fraction], row: int, rows: int) -> Iterator[Sample]:
        if rows:
            pictures = max(self._frames, self._pictures)
            self._limits.check_rows(row + rows, self._fps, pictures, self._size, self._expected)
            shot, time = held
            share = min(1.0, float(time) / self._expected) if self._expected else 0.0
            image = shot.image(self._edge, self._aspect, self._scaler)
            yield Sample(image, row, rows, shot.pts, float(time), share)

    def _decode(self, container: InputContainer, stream: VideoStream, extent: Extent) -> Iterator[VideoFrame]:
        """Yield the frames that decode; count what does not and collect subtitles in the same pass."""
        self._text = TextTrack(container, stream, self.path)
        # Of all streams the extent wants packets, for the longest of them tells whether the file is whole.
        packets, ahead = extent.watched(containers.demuxed(container)), self._ahead
        for packet, use in ((each, Use.SHOWN) for each in packets) if ahead is None else ahead.look(packets):
            self._text.take(packet)
            if packet.stream.index == stream.index:
                frames = self._frames_of(packet, stream, use)
                while frames:
                    self._text.look(frames[0])
                    yield frames.pop(0)

    def _frames_of(self, packet: Packet[Stream], stream: VideoStream, use: Use) -> list[VideoFrame]:
        shown = use is Use.SHOWN
        self._damage.packet(packet, shown)
        if packet.is_keyframe and packet.has_sidedata("encryption_info"):
            raise reasons.encrypted()
        if self._ahead is not None:
            if use is Use.NONE and not self._damage.failed:
                self._ahead.leave_out(packet)
                self._left_out, self._pictures = True, self._pictures + 1
                return []
            stream.codec_context.skip_frame = "DEFAULT" if shown or self._damage.failed else "NONREF"
        try:
            frames = stream.decode(packet)
        except av.error.FFmpegError as error:
            self._damage.failure(error)
            return []
        self._left_out |= not shown
        self._pictures += packet.size > 0 and not packet.is_discard
        self._frames += len(frames)
        self._damage.pictures(frames)
        return frames

    def _finish(self, stream: VideoStream, extent: Extent, clock: Clock[Shot], end: Fraction) -> None:
        damage, codec = self._damage, stream.codec_context.name
        truncated = extent.missing()
        # In MPEG-4 packets without a picture may mean that the last one stands still.
        if not truncated and (damage.failed or codec != "mpeg4") and short(clock.end, end):
            shown = f"{float(clock.end):.1f} s of {float(end):.1f} s"
            truncated = f"only {shown} have pictures: what lies behind does not decode"
        if truncated and not (self._keep_truncated and self._frames):
            raise BadVideo(
                "truncated", f"{truncated}; fetch it again, or pass --keep-truncated to use what is there"
            )
        assert self._text is not None
        if not self._frames:
            raise reasons.undecoded(self.path, codec, damage.packets, damage.unsupported, self._limits)
        told = damage.told(clock.gaps + end - clock.end, end)
        if damage.most and not truncated:
            raise BadVideo("corrupt", f"most of its pictures are lost: {told}")
        warnings = [truncated, told, extent.doubt(end, clock.passed)]
        self.report = VideoReport(
            duration=float(end),
            rows=max(1, ceil(end * self._fps)),
            # What is left out on purpose is a picture of the file as well.
            frames=self._pictures if self._left_out else self._frames,
            codec=codec,
            width=stream.width,
            height=stream.height,
            lead=float(extent.lead(clock.first)),
            cues=self._text.cues(float(clock.first), float(end)),
            damaged=damage.count,
            truncated=truncated,
            warnings=tuple(filter(None, warnings)),
            text_warnings=self._text.warnings,
            language=self._text.language,
        )
