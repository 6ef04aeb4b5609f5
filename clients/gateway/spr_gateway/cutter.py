"""Moves packets of a span from one container to another, and pictures where they are converted."""

from __future__ import annotations  # av's classes are generic to type checkers only

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import av
import av.error
from av.container import InputContainer, OutputContainer
from av.video.stream import VideoStream

from engine.errors import DeadlineExceeded

RATE = 48000
LEAD = 2.0  # seconds before a span in which a key frame is looked for
EDGE = 1e-3  # seconds: times of frames are that much beside the truth in files that count milliseconds


@dataclass(frozen=True, slots=True)
class Terms:
    """How a clip is made.

    codecs: those whose pictures are copied. from_zero: the first picture of a copy is at 0, by an edit list;
    else its decoding begins there. near: seconds that a copy may begin before its span at most, at a key
    frame; where there is none the pictures are converted, and the clip begins with the span. longest:
    seconds; patience: seconds to make it; largest: bytes; height: lines of what is converted, each at most.
    """

    codecs: frozenset[str]
    from_zero: bool = False
    near: float = math.inf
    longest: float = math.inf
    patience: float = math.inf
    largest: float = math.inf
    height: int = 1 << 14
    container: Mapping[str, str] = field(default_factory=dict)
    encoder: Mapping[str, str] = field(default_factory=dict)


# What every browser plays. Fragmented: written front to back, playable whatever is cut off.
PAGE = Terms(
    codecs=frozenset({"h264"}),
    longest=120.0,
    patience=60.0,
    largest=48 << 20,
    height=720,
    container={"movflags": "frag_keyframe+empty_moov+default_base_moof"},
    encoder={"preset": "veryfast", "crf": "24", "tune": "zerolatency"},
)
# What is kept and cut further: whole, and as good as the source.
KEPT = Terms(
    codecs=frozenset({"h264", "hevc", "av1", "vp9"}),
    from_zero=True,
    near=0.5,
    container={"movflags": "faststart"},
    encoder={"preset": "veryfast", "crf": "17"},
)


class Cutter:
    """Moves packets of a span from one container to another."""

    def __init__(
        self,
        source: InputContainer,
        target: OutputContainer,
        stream: VideoStream,
        copied: bool,
        terms: Terms,
    ) -> None:
        self._source, self._target, self._stream, self._copied = source, target, stream, copied
        self._terms = terms
        self._out: Any = self._copy_of() if copied else self._h264()
        self._sound = source.streams.audio[0] if source.streams.audio else None
        self._aac: Any = target.add_stream("aac", rate=RATE, layout="stereo") if self._sound else None
        self._resampler = av.AudioResampler("fltp", "stereo", RATE, 1024)
        # The container's time of the clip's second 0: the key frame's where pictures are copied.
        self._origin: float | None = None
        self._pictures = 0
        # The container's time at which the last picture ends.
        self.until = -math.inf
        self._held: list[Any] = []

    def run(self, start: float, end: float, size: Callable[[], int] | None = None) -> float | None:
        """Write container times [start, end); return where the video begins, None where it has no picture.

        size: tells the bytes that were written, where the terms have a limit.
        """
        ends = time.monotonic() + self._terms.patience
        self._origin = None if self._copied else start
        begin = start - LEAD if self._copied else start
        self._source.seek(
            max(0, int(begin / float(self._stream.time_base or 1))), stream=self._stream, backward=True
        )
        open_streams = {stream.index for stream in (self._stream, self._sound) if stream}
        for packet in readable(self._source, *[s for s in (self._stream, self._sound) if s]):
            if time.monotonic() > ends:
                raise DeadlineExceeded(
                    f"the clip was not made within {self._terms.patience:.0f} s; ask for a shorter one"
                )
            if (size is not None and size() > self._terms.largest) or not open_streams:
                break
            stamp = packet.pts if packet.dts is None else packet.dts
            if stamp is None and packet.size:
                continue
            # For an empty packet, at the end of the file, a decoder gives what it still holds.
            at = start if stamp is None else float(stamp * packet.time_base)
            # Matroska's first packets have no decoding times, and pictures before theirs may follow.
            if at >= end and packet.dts is not None:
                open_streams.discard(packet.stream.index)
            elif packet.stream.type == "video":
                self._video(packet, start, end)
            else:
                self._audio(packet, end)
        if self._held:
            self._begin()
        if not self._pictures:
            return None
        self._flush()
        return self._origin

    def _copy_of(self) -> Any:
        return self._target.add_stream_from_template(self._stream)

    def _h264(self) -> Any:
        source = self._stream
        rate = source.average_rate or source.guessed_rate or Fraction(25)
        out: Any = self._target.add_stream(
            "libx264", rate=min(rate, Fraction(60)), options=dict(self._terms.encoder)
        )
        scale = min(1.0, self._terms.height / max(1, source.height))
        out.width, out.height = (
            max(2, round(side * scale / 2) * 2) for side in (source.width, source.height)
        )
        out.pix_fmt, out.codec_context.time_base = "yuv420p", Fraction(1, 90000)
        out.codec_context.sample_aspect_ratio = source.sample_aspect_ratio or Fraction(1)
        if turned := rotation(self._source, source):
            out.set_display_rotation(turned)
        return out

    def _video(self, packet: Any, start: float, end: float) -> None:
        if self._copied:
            self._copy(packet, start)
            return
        for frame in _decoded(packet):
            if frame.time is None or not start - EDGE <= frame.time < end - EDGE:
                continue
            self._shown(frame)
            small = frame.reformat(self._out.width, self._out.height, "yuv420p")
            small.pts, small.time_base = max(0, round((frame.time - start) * 90000)), Fraction(1, 90000)
            small.pict_type = 0
            self._target.mux(self._out.encode(small))

    def _copy(self, packet: Any, start: float) -> None:
        if self._origin is not None:
            self._put(packet)
            return
        # From the last key frame before `start`: seeking finds an earlier one, or a picture without one.
        if packet.pts is None:
            return
        if packet.is_keyframe and (not self._held or packet.pts * packet.time_base <= start + EDGE):
            self._held = [packet]
        elif self._held:
            self._held.append(packet)
        if self._held and packet.dts is not None and packet.dts * packet.time_base >= start:
            self._begin()

    def _begin(self) -> None:
        """Write what is held. Decoding times begin before those of pictures."""
        held, self._held = self._held, []
        known = next((n for n, packet in enumerate(held) if packet.dts is not None), None)
        if known is None:
            known = len(held) - 1
            held[known].dts = min(packet.pts for packet in held if packet.pts is not None)
        for n in range(known - 1, -1, -1):
            held[n].dts = held[n + 1].dts - (held[n].duration or 1)
        zero = held[0].pts if self._terms.from_zero else held[0].dts
        self._origin = float(zero * held[0].time_base)
        for packet in held:
            self._put(packet)

    def _put(self, packet: Any) -> None:
        back = round((self._origin or 0.0) / packet.time_base)
        if packet.pts is None or packet.dts is None:
            return
        self._shown(packet)
        packet.pts, packet.dts, packet.stream = packet.pts - back, packet.dts - back, self._out
        self._target.mux(packet)

    def _shown(self, picture: Any) -> None:
        """Count a picture. Call it before its times are changed."""
        self._pictures += 1
        last = picture.pts + (picture.duration or 0)
        self.until = max(self.until, float(last * picture.time_base))

    def _audio(self, packet: Any, end: float) -> None:
        for frame in _decoded(packet) if self._origin is not None else ():
            if frame.time is None or not self._origin <= frame.time < end:
                continue
            frame.pts, frame.time_base = round((frame.time - self._origin) * RATE), Fraction(1, RATE)
            for part in self._resampler.resample(frame):
                self._target.mux(self._aac.encode(part))

    def _flush(self) -> None:
        if not self._copied:
            self._target.mux(self._out.encode(None))
        if self._aac is not None:
            for part in self._resampler.resample(None):
                self._target.mux(self._aac.encode(part))
            self._target.mux(self._aac.encode(None))


def rotation(source: InputContainer, stream: VideoStream) -> int:
    """Return by how many degrees players turn the pictures; reading goes on from anywhere."""
    # It is told of pictures alone, and has to stand in front of the first.
    with contextlib.suppress(av.error.FFmpegError):
        source.seek(stream.start_time or 0, stream=stream, backward=True)
        return next((frame.rotation for frame in source.decode(stream)), 0)
    return 0


def readable(source: InputContainer, *streams: Any) -> Iterator[Any]:
    """Yield packets up to where the file is damaged so that nothing more is found in it."""
    with contextlib.suppress(av.error.InvalidDataError, av.error.EOFError):
        yield from source.demux(*streams)


def _decoded(packet: Any) -> Iterator[Any]:
    """Yield a packet's frames; one that is damaged has none, as for a player."""
    with contextlib.suppress(av.error.FFmpegError):
        yield from packet.decode()
