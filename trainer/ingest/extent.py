"""Truncation detection: compares how much of a file there is with what its header promises."""

from __future__ import annotations  # av.Packet is generic to type checkers only

from collections import deque
from collections.abc import Iterable, Iterator
from errno import EIO, ENODATA, ENXIO, ESTALE
from fractions import Fraction
from pathlib import Path
from typing import TypeVar

import av.error
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

from trainer.ingest import reasons, structure
from trainer.ingest.clock import LONGEST_BREAK, Clock
from trainer.ingest.container import may_leap
from trainer.ingest.errors import BadVideo

T = TypeVar("T")

MICROSECONDS = Fraction(1, 1_000_000)
# Less missing than this, or than two hundredths, is rounding: headers and last frames are often off by that.
ROUNDING = Fraction(1, 2)
# So many packets may lie, in the order they are decoded in, between a picture and the one shown last.
LAST = 32
# Times that timestamps may span more than what else tells a file's length.
FAR = 10
# Frames a second that a container may claim; more is its tick.
FASTEST = 1000
# Pictures that an AVI says to have where nobody counted them.
UNKNOWN = 1 << 30
# I/O errors of a medium that went away, not of a file that ends.
_AWAY = {EIO, ENXIO, ESTALE, ENODATA}


class Extent:
    """Watches a file's packets: where its streams start and end, and what its header promised."""

    def __init__(self, container: InputContainer, stream: VideoStream, path: Path) -> None:
        """Read the header's promises; `watched` then sees what comes."""
        # Video packets that are incomplete, and whether the last one is.
        self._partial, self._last_partial, self._pictures = 0, False, 0
        self._tail = structure.fault_at_end(path, container.format.name)
        self._joined = structure.joined(path, container.format.name)
        self._video = stream.index
        self._rate = stream.average_rate or stream.guessed_rate
        self._time_base = stream.time_base or Fraction(1, 1000)
        self._zero = None if container.start_time is None else container.start_time * MICROSECONDS
        # By stream, in ticks of the stream: every packet of a file passes here.
        self._ticks: dict[int, Fraction] = {}
        self._starts: dict[int, int] = {}
        self._ends: dict[int, int] = {}
        self._last: deque[tuple[int | None, int | None, int]] = deque(maxlen=LAST)
        # Ticks that the video's packets last together.
        self._worth = 0
        self._broken: str | None = None
        # Matroska and NUT tell one duration for all streams, counted from 0 whatever the first timestamp.
        self._matroska = matroska = container.format.name in ("matroska,webm", "nut")
        self._base = Fraction(0) if matroska or self._zero is None else self._zero
        self._sound = [sound.index for sound in container.streams.audio]
        # An AVI that was written into a pipe says a number of pictures that stands for none.
        piped = container.format.name == "avi" and stream.frames >= UNKNOWN
        # ASF's is that of the longest stream.
        self._own = bool(stream.duration) and not matroska and not piped and container.format.name != "asf"
        own = (stream.duration or 0) * (stream.time_base or MICROSECONDS)
        told = structure.asf_length(path, container.format.name)
        all_of_it = Fraction(0) if piped else (container.duration or 0) * MICROSECONDS
        self._promised = own if self._own else told or all_of_it
        # Of formats whose packets fill them to the end; where the last one read ends.
        filled = matroska or piped or container.format.name in ("flv", "asf")
        self._path, self._format = path, container.format.name
        self._size = container.size if filled else 0
        self._read = self._last_place = 0
        # Their length is FFmpeg's guess from the last timestamps.
        self._guessed = may_leap(container)

    @property
    def expected(self) -> float | None:
        """Seconds of video that the file has as far as known before it is read."""
        return float(self._promised) if self._promised > 0 else None

    @property
    def announced(self) -> Fraction | None:
        """Seconds of video that the header announces; None where that is a guess."""
        return None if self._guessed or self._promised <= 0 else self._promised

    def clock(self, fps: Fraction) -> Clock[T]:
        """Return a clock for the video stream; fps tells how long a frame lasts where nothing else does."""
        interval = 1 / (self._rate if self._rate and self._rate <= FASTEST else fps)
        return Clock(self._time_base, interval, leaps=self._guessed, until=self.announced)

    def watched(self, packets: Iterable[Packet[Stream]]) -> Iterator[Packet[Stream]]:
        """Pass packets on and note where each stream starts and ends; a demuxer error ends them.

        Raises BadVideo where the medium cannot be read.
        """
        try:
            for packet in packets:
                self._note(packet)
                yield packet
        except (av.error.FFmpegError, OSError) as error:
            if error.errno in _AWAY:
                raise BadVideo("unreadable", f"it cannot be read: {reasons.words(error)}") from error
            self._broken = reasons.words(error)

    def lead(self, first: Fraction) -> Fraction:
        """Return seconds from where a player starts the file's clock to the first frame's timestamp."""
        return Fraction(0) if self._zero is None else max(Fraction(0), first - self._zero)

    def end(self, clock: Clock[T]) -> Fraction:
        """Return where the video ends by its last packets, whether or not they became pictures.

        Less than half a second or 2 % behind the last picture counts as that picture's end.
        """
        tick = self._ticks.get(self._video, Fraction(0))
        ends = sorted(
            time + duration * tick
            for pts, dts, duration in self._last
            if (time := clock.at(pts, dts)) is not None
        )
        # Far from the others is a broken timestamp, or one of before the clock was set anew.
        near = [end for end in ends if abs(end - ends[len(ends) // 2]) <= LONGEST_BREAK]
        return near[-1] if near and short(clock.end, near[-1]) else clock.end

    def missing(self) -> str | None:
        """Say what the end lacks, None for a whole file."""
        reached = self._reached()
        if self._broken is not None:
            return f"it is cut off or damaged after {float(reached):.1f} s ({self._broken})"
        if not self._guessed and short(reached, self._promised):
            return f"it is cut off: {float(reached):.1f} s of {float(self._promised):.1f} s are there"
        if self._promised <= 0 and self._unread:
            return f"it is cut off or damaged after {float(reached):.1f} s, and what lies behind is not read"
        # Where others are incomplete as well the file lost packets, and is not known to be cut off.
        if self._tail or (self._last_partial and self._partial == 1):
            return f"{self._tail or 'it is cut off in the last picture'}, after {float(reached):.1f} s"
        if self._promised <= 0 and structure.breaks_off(self._path, self._format, self._last_place):
            return f"it is cut off in the last packet, after {float(reached):.1f} s"
        return None

    def doubt(self, end: Fraction, passed: int = 0) -> str | None:
        """Say where timestamps span far more time than the file's other measures, or a part is not read.

        passed: pictures in a row that the clock passed over.
        """
        if self._joined > 1:
            return f"it is {self._joined} films in one file, of which not all is read; take them apart"
        # Matroska may have its attachments there; behind a film that is cut off lies no other.
        another = structure.another_behind(self._path, self._format, self._last_place)
        behind = another if self._matroska else self._unread and self.missing() is None
        if behind or passed * 10 > self._pictures:
            part = (
                "its last part is not read"
                if behind
                else f"{passed} of its pictures have no time of their own"
            )
            return f"{part}: it may be several films joined byte by byte; take them apart"
        if self._matroska and self._zero and short(Fraction(0), self._zero):
            return f"nothing is there of its first {float(self._zero):.1f} s"
        worth = self.announced or self._worth * self._ticks.get(self._video, Fraction(0))
        if end <= FAR * worth + 60 or not worth:
            return self._sound_alone()
        return f"its timestamps span {float(end):.0f} s, its pictures or header {float(worth):.0f} s"

    def _sound_alone(self) -> str | None:
        """Say where sound goes on behind the last picture, in a format whose clock is not set anew."""
        ends = {index: end * self._ticks[index] - self._base for index, end in self._ends.items()}
        shown = ends.get(self._video, Fraction(0))
        heard = max((ends[index] for index in self._sound if index in ends), default=shown)
        if self._guessed or not short(shown, heard) or self.missing():
            return None
        return f"the {float(heard - shown):.1f} s of sound behind its last picture are left out"

    @property
    def _unread(self) -> bool:
        """Whether much of the file lies behind the last packet, in a format that packets fill to the end."""
        return self._size - self._read > max(4096, self._size // 10)

    def _note(self, packet: Packet[Stream]) -> None:
        index = packet.stream.index
        if packet.pos is not None:
            self._last_place = max(self._last_place, packet.pos)
            self._read = max(self._read, packet.pos + packet.size)
        if index == self._video and packet.size:
            self._last_partial = packet.is_corrupt
            self._partial += packet.is_corrupt
            self._pictures += 1
            if not packet.is_discard:
                self._last.append((packet.pts, packet.dts, packet.duration or 0))
                self._worth += packet.duration or 0
        stamp = packet.dts if packet.pts is None else packet.pts
        if stamp is None or packet.is_discard:
            return
        if index not in self._ticks:
            if packet.time_base is None:
                return
            self._ticks[index] = packet.time_base
            self._starts[index], self._ends[index] = stamp, stamp
        self._starts[index] = min(stamp, self._starts[index])
        self._ends[index] = max(stamp + (packet.duration or 0), self._ends[index])

    def _reached(self) -> Fraction:
        """Return how far the packets go: of the video where the header speaks of it, else of any stream."""
        if self._own:
            length = self._ends.get(self._video, 0) - self._starts.get(self._video, 0)
            return length * self._ticks.get(self._video, Fraction(0))
        ends = [end * self._ticks[index] for index, end in self._ends.items()]
        return max(ends, default=Fraction(0)) - self._base


def short(reached: Fraction, promised: Fraction) -> bool:
    """Whether seconds are missing, not merely rounded."""
    return reached < promised * 98 / 100 - ROUNDING
