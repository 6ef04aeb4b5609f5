"""Damage detection: compares the pictures decoded with those that the packets promise."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import av.error
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from trainer.ingest.clock import LONGEST_BREAK, OUT_OF_ORDER
from trainer.ingest.container import may_leap

# Formats of a constant frame rate.
_STEADY = frozenset({"mpegts", "mpeg", "mxf"})
# Codecs in which every packet is a picture, and whose decoders leave out what refers to lost ones.
# Others have a few packets without a picture of their own (VP8, MPEG-4).
_ONE_TO_ONE = frozenset({"hevc", "vvc"})


class Damage:
    """Counts packets that do not decode, and pictures that are missing, incomplete or patched."""

    def __init__(
        self, time_base: Fraction, codec: str = "", steady: bool = False, leaps: bool = False
    ) -> None:
        """time_base: seconds a tick. steady: whether the format keeps a frame rate, so that gaps tell.

        leaps: whether it allows clocks that are set anew.
        """
        self.packets = self.failed = 0
        self.unsupported = False
        # The timestamp that the first packet promises a picture for.
        self.head: int | None = None
        self._gaps = _Gaps(time_base, steady, leaps)
        self._one_to_one = codec in _ONE_TO_ONE
        self._partial = self._patched = 0
        # Packets the decoder is not told to leave out, and pictures; of all, and since the first failure.
        self._wanted = self._pictures = 0
        self._wanted_after = self._pictures_after = 0
        self._fields = False
        # Packets to be shown before the first one.
        self._leading = 0

    @staticmethod
    def of(container: InputContainer, stream: VideoStream) -> Damage:
        """Return the damage of a stream that nothing is read of yet."""
        steady = container.format.name in _STEADY
        tick = stream.time_base or Fraction(1, 1000)
        return Damage(tick, stream.codec_context.name, steady, may_leap(container))

    def packet(self, packet: Packet[Stream], shown: bool) -> None:
        """Take a video packet; `shown` if the decoder is not told to leave it out."""
        if not packet.size or packet.is_discard:
            return
        if not self.packets:
            self.head = packet.pts
        self.packets += 1
        if self.head is not None and packet.pts is not None:
            self._leading += packet.pts < self.head
        self._partial += packet.is_corrupt
        self._wanted += shown
        self._wanted_after += self.failed > 0
        self._gaps.add(packet.dts, packet.duration)

    def failure(self, error: av.error.FFmpegError) -> None:
        """Take note that a packet did not decode."""
        self._wanted_after += not self.failed
        self.failed += 1
        self.unsupported |= isinstance(error, av.error.PatchWelcomeError)

    def pictures(self, frames: Sequence[VideoFrame]) -> None:
        """Take what came out of the decoder."""
        for frame in frames:
            self._patched += frame.is_corrupt
            self._fields |= frame.interlaced_frame
        self._pictures += len(frames)
        self._pictures_after += len(frames) if self.failed else 0

    @property
    def count(self) -> int:
        """How many of the pictures are missing, incomplete or patched by the decoder."""
        return min(self.packets, max(self._missing + self._patched, self._partial))

    @property
    def most(self) -> bool:
        """Whether more than half of the pictures did not come out."""
        return self._missing * 2 > self.packets

    def told(self, gaps: Fraction, duration: Fraction) -> str | None:
        """Return a sentence on what is damaged or missing, None where nothing is.

        gaps: seconds without a picture of their own, of `duration` in all.
        """
        odd = self._gaps.odd
        if self.count:
            gaps = max(gaps, odd)
            alone = f"; {float(gaps):.1f} of {float(duration):.1f} s have no picture of their own"
            return f"damaged or missing pictures: {self.count} of {self.packets}{alone if gaps else ''}"
        if odd:
            shown = f"{float(odd):.{1 if odd >= 1 else 2}f} of {float(duration):.1f}"
            return f"{shown} s have no pictures: a part may be missing"
        if leap := self._gaps.leap:
            return f"its clock leaps {float(leap):.0f} s ahead: it is joined, or a part is missing"
        return None

    @property
    def _missing(self) -> int:
        if self._fields:  # which may be two packets of one picture
            return self.failed
        silent = self._wanted - self._pictures
        if self._one_to_one:
            # A stream may begin where pictures to be shown earlier refer to ones that are not in it.
            silent -= self._leading
        elif not self.failed and silent * 4 <= self.packets:
            silent = 0
        return max(self.failed, silent, self._wanted_after - self._pictures_after)


class _Gaps:
    """Finds gaps in an otherwise regular sequence of packets: long ones, or of two pictures if `steady`."""

    def __init__(self, time_base: Fraction, steady: bool, leaps: bool) -> None:
        self._time_base = time_base
        self._longest = LONGEST_BREAK / time_base if leaps else None
        self._leapt = 0
        self._long = OUT_OF_ORDER / time_base
        self._steady = steady
        self._end: int | None = None
        # Ticks of the last packet, and from one packet to the next where they do not say how long they last.
        self._duration = self._step = 0
        self._last: int | None = None
        self._lost = self._lost_short = self._regular = self._seen = 0

    def add(self, dts: int | None, duration: int | None) -> None:
        """Take a packet's decoding time, which runs on regularly whatever the order of pictures."""
        if dts is None:
            return
        if self._end is not None:
            gap = dts - self._end
            self._seen += 1
            self._regular += gap * 2 <= self._duration
            if self._longest is not None and gap > self._longest:
                self._leapt += gap
            elif gap > self._long:
                self._lost += gap
            elif gap * 2 > self._duration * 3 > 0:
                self._lost_short += gap
            if self._last is not None and gap <= self._long:
                self._step = max(0, dts - self._last)
        self._last = dts
        self._duration = duration or self._step
        self._end = dts + self._duration

    @property
    def leap(self) -> Fraction:
        """Seconds by which clocks that were set anew run ahead, which are no part of the video."""
        return self._leapt * self._time_base

    @property
    def odd(self) -> Fraction:
        """Seconds in gaps, 0 where gaps are usual."""
        irregular = self._seen - self._regular
        lost = self._lost if irregular * 10 <= self._seen else 0
        if self._steady and irregular * 50 <= self._seen:
            lost += self._lost_short
        return lost * self._time_base
