"""Look ahead in a file's packets, to tell pictures that are shown at no grid point before they are decoded.

Where no other picture is made from such a picture it need not be decoded at all: a decoder told NONREF leaves
it out by itself. In H.264 that is a third to a half of all pictures. Those that nothing but such pictures is
made from go too: all after the last one that is shown, up to the next IDR picture, which no later one looks
beyond. That is 1 / (2 fps) seconds in every group of pictures, or all of a group that shows none.
"""

from __future__ import annotations  # av.Packet is generic to type checkers only

import heapq
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
from fractions import Fraction
from itertools import pairwise
from typing import Self

from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

from trainer.ingest.clock import LONGEST_PAUSE, OUT_OF_ORDER

# No H.264 decoder holds more than 16 pictures back to put them in order; so many, and as many again, are
# looked at before and after a picture for the one that is shown next.
WINDOW = 32
# Of packets that are held at once. Where they are larger than that nothing is left out.
HELD_BYTES = 64 << 20
# Types of H.264's NAL units: a slice of an IDR picture; sets of parameters.
_IDR, _PARAMETERS = 5, (7, 8)


class Use(Enum):
    """What a packet's picture is for: a grid point; perhaps for other pictures; nothing."""

    SHOWN = 0
    UNSHOWN = 1
    NONE = 2


class Ahead:
    """Passes packets on, each with what its picture is for: whether it may be shown at a grid point k / fps.

    `trusted` is False from the first packet without timestamps, or with ones that do not run on: from
    there every picture counts as shown.
    """

    def __init__(self, stream: int, time_base: Fraction, fps: Fraction, header: bytes = b"") -> None:
        """stream: the video stream's index. time_base: seconds a tick. header: avcC, b"" for none."""
        self._stream = stream
        self._scale = time_base * fps
        self._longest = LONGEST_PAUSE / time_base
        self._second = OUT_OF_ORDER / time_base
        self._before: deque[int] = deque(maxlen=WINDOW)
        self._after: deque[int] = deque()
        self._dts: int | None = None
        self._header = header
        self._left_out: list[int] = []
        self._latest: int | None = None
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
        header = bytes(stream.codec_context.extradata or b"")
        return cls(stream.index, stream.time_base, fps, header if header[:1] == b"\1" else b"")

    def look(self, packets: Iterable[Packet[Stream]]) -> Iterator[tuple[Packet[Stream], Use]]:
        """Yield packets and their use. `origin`, the first picture's timestamp, is to be set once known.

        Pictures that are not shown wait for one that is, or for an IDR picture, and then have no use.
        """
        waiting: list[Packet[Stream]] = []
        size = 0
        for packet, shown in self._look(packets):
            if packet.stream.index != self._stream:
                yield packet, Use.SHOWN
                continue
            anew, changes = self._kind(packet)
            if shown or anew or changes or size > HELD_BYTES:
                none = self._run_on([*waiting, packet]) and anew and not changes
                yield from ((each, Use.NONE if none else Use.UNSHOWN) for each in waiting)
                waiting, size = [], 0
            if shown or changes:
                yield packet, Use.SHOWN
            else:
                waiting.append(packet)
                size += packet.size
        yield from ((each, Use.UNSHOWN) for each in waiting)

    def leave_out(self, packet: Packet[Stream]) -> None:
        """Take note that a picture is not decoded."""
        heapq.heappush(self._left_out, packet.pts or 0)

    def before(self, pts: int | None) -> int | None:
        """Return the last timestamp before `pts`, and since the one asked before, that was left out."""
        found = None
        while pts is not None and self._left_out and self._left_out[0] < pts:
            found = heapq.heappop(self._left_out)
        return found

    def _run_on(self, packets: Sequence[Packet[Stream]]) -> bool:
        """Whether pictures, the last one latest, go on from those before without a leap for a clock."""
        times = [each.pts or 0 for each in packets]
        run = sorted([*times, times[0] if self._latest is None else self._latest])
        self._latest = run[-1]
        return self.trusted and times[-1] == run[-1] and all(b - a <= self._second for a, b in pairwise(run))

    def _kind(self, packet: Packet[Stream]) -> tuple[bool, bool]:
        """Return whether a packet is an IDR picture, and whether it may change the decoder's parameters."""
        if not self._header or not packet.size:
            return False, False
        if packet.has_sidedata("new_extradata"):
            return False, True
        width, data, at = (self._header[4] & 3) + 1, memoryview(packet), 0
        anew = changes = False
        while at + width < len(data):
            size = int.from_bytes(data[at : at + width], "big")
            at += width
            kind = data[at] & 31
            anew |= kind == _IDR
            changes |= kind in _PARAMETERS and bytes(data[at : at + size]) not in self._header
            at += size
        return anew, changes

    def _look(self, packets: Iterable[Packet[Stream]]) -> Iterator[tuple[Packet[Stream], bool]]:
        """Yield packets and whether their picture may be shown."""
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
