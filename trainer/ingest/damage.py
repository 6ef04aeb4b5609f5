"""Judge a video by the pictures that came out against what its packets promise."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import av.error
from av.packet import Packet
from av.stream import Stream
from av.video.frame import VideoFrame

from trainer.ingest.clock import Gaps


class Damage:
    """Counts packets that do not decode, and pictures that are missing, incomplete or patched."""

    def __init__(self) -> None:
        """Nothing seen yet."""
        self.packets = self.failed = 0
        self.unsupported = False
        # The timestamp that the first packet promises a picture for.
        self.head: int | None = None
        self._partial = self._patched = 0
        # Since the first failure, for until then some pictures may be left out on purpose.
        self._packets_after = self._pictures_after = 0
        self._wanted = self._pictures = 0
        self._fields = False

    def packet(self, packet: Packet[Stream], shown: bool) -> None:
        """Take a video packet; `shown` if the decoder is not told to leave it out."""
        if not packet.size or packet.is_discard:
            return
        if not self.packets:
            self.head = packet.pts
        self.packets += 1
        self._partial += packet.is_corrupt
        self._wanted += shown
        self._packets_after += self.failed > 0

    def failure(self, error: av.error.FFmpegError) -> None:
        """Take note that a packet did not decode."""
        self._packets_after += not self.failed
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
        silent = 0 if self._fields else self._wanted - self._pictures
        return max(self._missing, silent) * 2 > self.packets

    def told(self, gaps: Gaps, duration: Fraction) -> str | None:
        """Return a sentence on what is damaged or missing, None where nothing is."""
        of = f"of {float(duration):.1f} s"
        if self.count:
            alone = f"; {float(gaps.total):.1f} {of} have no picture of their own" if gaps.total else ""
            return f"damaged or missing pictures: {self.count} of {self.packets}{alone}"
        if gaps.odd:
            return f"{float(gaps.odd):.1f} {of} have no picture of their own: a part may be missing"
        return None

    @property
    def _missing(self) -> int:
        # Two fields may be two packets of one picture.
        unseen = 0 if self._fields else self._packets_after - self._pictures_after
        return max(self.failed, unseen)
