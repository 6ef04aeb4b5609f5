"""Look ahead in a file's packets, to tell pictures that are shown at no grid point before they are decoded.

Where no other picture is made from such a picture it need not be decoded at all: a decoder told NONREF leaves
it out by itself. In H.264 that is a third to a half of all pictures, and a fifth to a third of the time.
"""

from __future__ import annotations  # av.Packet is generic to type checkers only

from collections import deque
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Self

from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

from trainer.ingest.clock import LONGEST_PAUSE

# No H.264 decoder holds more than 16 pictures back to put them in order; so many, and as many again, are
# looked at before and after a picture for the one that is shown next.
WINDOW = 32
# Of packets that are held at once. Where they are larger than that nothing is left out.
HELD_BYTES = 64 << 20


class Ahead:
    """Passes packets on, each with whether its picture may be shown at a grid point k / fps.

    `trusted` is False from the first packet without timestamps, or with ones that do not run on: from
    there every picture counts as shown.
    """

    def __init__(self, stream: int, time_base: Fraction, fps: Fraction) -> None:
        """stream: the video stream's index. time_base: seconds a tick."""
        self._stream = stream
        self._scale = time_base * fps
        self._longest = LONGEST_PAUSE / time_base
        self._before: deque[int] = deque(maxlen=WINDOW)
        self._after: deque[int] = deque()
        self._dts: int | None = None
        self.trusted = True
        self.origin: int | None = None

    @classmethod
    def of(cls, container: InputContainer, stream: VideoStream, fps: Fraction) -> Self | None:
        """Return what finds pictures that need no decoding, None where that is not certain.

        Only H.264 says of each picture by itself whether others are made from it, and only these containers
        give every packet its own timestamps.
        """
        names = {*container.format.name.split(",")}
        if stream.codec_context.name != "h264" or not stream.time_base or not {"mp4", "matroska"} & names:
            return None
        return cls(stream.index, stream.time_base, fps)

    def look(self, packets: Iterable[Packet[Stream]]) -> Iterator[tuple[Packet[Stream], bool]]:
        """Yield (packet, shown). `origin`, the first picture's timestamp, is to be set once it is known."""
        held: deque[Packet[Stream]] = deque()
        size = 0
        for packet in packets:
            held.append(packet)
            size += packet.size
            self._note(packet)
            while len(self._after) > WINDOW or size > HELD_BYTES:
                self.trusted &= len(self._after) > WINDOW
                size -= held[0].size
                yield self._pass(held.popleft())
        while held:
            yield self._pass(held.popleft())

    def _is_picture(self, packet: Packet[Stream]) -> bool:
        return packet.stream.index == self._stream and packet.size > 0 and not packet.is_discard

    def _note(self, packet: Packet[Stream]) -> None:
        if not self._is_picture(packet):
            return
        pts, dts = packet.pts, packet.dts
        # Matroska holds no decoding times; the first few cannot be made up.
        if pts is None or (self._dts is not None and (dts is None or dts < self._dts)):
            self.trusted = False
        elif self._after and abs(pts - self._after[-1]) > self._longest:
            self.trusted = False
        self._dts = dts
        self._after.append(pts or 0)

    def _pass(self, packet: Packet[Stream]) -> tuple[Packet[Stream], bool]:
        if not self._is_picture(packet):
            return packet, True
        pts = self._after.popleft()
        shown = not self.trusted or self.origin is None or self._on_grid(pts, self.origin)
        self._before.append(pts)
        return packet, shown

    def _on_grid(self, pts: int, origin: int) -> bool:
        """Whether a grid point lies between a picture and the one that is shown after it."""
        following = min((each for each in (*self._before, *self._after) if each > pts), default=None)
        if following is None or pts in self._before or pts in self._after:
            return True
        step, unit = self._scale.numerator, self._scale.denominator
        return (origin - pts) * step // unit != (origin - following) * step // unit
