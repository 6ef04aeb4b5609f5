"""Open a video file, or say in one sentence why it cannot be."""

from __future__ import annotations  # av.Packet is generic to type checkers only

import contextlib
import os
import stat
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import av.error
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from trainer.ingest.errors import BadVideo, Kind

MICROSECONDS = Fraction(1, 1_000_000)


@contextlib.contextmanager
def opened(path: Path) -> Iterator[InputContainer]:
    """Open a regular file for demuxing; local files only, even where a playlist names an address.

    Raises BadVideo.
    """
    check_file(path)
    try:
        container = av.open(f"file:{path}", options={"protocol_whitelist": "file"}, metadata_errors="replace")
    except (av.error.FFmpegError, OSError) as error:
        raise _refusal(path, error) from error
    with container:
        yield container


def video_stream(container: InputContainer) -> VideoStream:
    """Return the stream a player shows: the first default one but no cover art. Raises BadVideo."""
    moving = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not moving:
        if not len(container.streams):
            raise BadVideo("corrupt", "none of its streams is whole: cut off or damaged")
        kinds = ", ".join(sorted({stream.type for stream in container.streams if stream.type != "video"}))
        cover = " and cover art" if container.streams.video else ""
        kind: Kind = "audio-only" if container.streams.audio else "not-a-video"
        raise BadVideo(kind, f"it has no video stream, only {kinds}{cover}")
    stream = next((s for s in moving if s.disposition & Disposition.default), moving[0])
    if getattr(stream, "codec_context", None) is None:
        raise BadVideo("unsupported-codec", "FFmpeg has no decoder for its video codec; convert it to H.264")
    if not (stream.codec_context.width and stream.codec_context.height):
        raise BadVideo(
            "corrupt", f"its {stream.codec_context.name} stream does not say how large its pictures are"
        )
    return stream


class Extent:
    """How much of a file there is against how much its header promises."""

    def __init__(self, container: InputContainer, stream: VideoStream, path: Path) -> None:
        """Read the header's promises; `watched` then sees what comes."""
        self._last_partial = False
        self._ends_well = container.format.name != "gif" or _gif_ends(path)
        self._video = stream.index
        self._zero = None if container.start_time is None else container.start_time * MICROSECONDS
        # By stream, in ticks of the stream: every packet of a file passes here.
        self._ticks: dict[int, Fraction] = {}
        self._starts: dict[int, int] = {}
        self._ends: dict[int, int] = {}
        self._broken: str | None = None
        # Matroska tells one duration for all streams, counted from time 0 whatever the first timestamp.
        matroska = "matroska" in container.format.name
        self._base = Fraction(0) if matroska or self._zero is None else self._zero
        self._own = bool(stream.duration) and not matroska
        own = (stream.duration or 0) * (stream.time_base or MICROSECONDS)
        self._promised = own if self._own else (container.duration or 0) * MICROSECONDS

    @property
    def promised(self) -> float | None:
        """Seconds of video that the header announces."""
        return float(self._promised) if self._promised else None

    def watched(self, packets: Iterable[Packet[Stream]]) -> Iterator[Packet[Stream]]:
        """Pass packets on and note where each stream starts and ends; a demuxer error ends them."""
        try:
            for packet in packets:
                self._note(packet)
                yield packet
        except (av.error.FFmpegError, OSError) as error:
            self._broken = _words(error)

    def lead(self, first: Fraction) -> Fraction:
        """Return seconds from where a player starts the file's clock to the first frame's timestamp."""
        return Fraction(0) if self._zero is None else max(Fraction(0), first - self._zero)

    def missing(self) -> str | None:
        """Say what the end lacks, None for a whole file.

        Half a second or 2 % less than promised is rounding: headers and last frames are often off by that.
        """
        if self._broken is not None:
            return f"it is cut off or damaged after {float(self._reached()):.1f} s ({self._broken})"
        reached = self._reached()
        if self._promised and reached < self._promised * 98 / 100 - Fraction(1, 2):
            return f"it is cut off: {float(reached):.1f} s of {float(self._promised):.1f} s are there"
        if self._last_partial or not self._ends_well:
            return f"it is cut off in the last picture, after {float(reached):.1f} s"
        return None

    def _note(self, packet: Packet[Stream]) -> None:
        index = packet.stream.index
        if index == self._video and packet.size:
            self._last_partial = packet.is_corrupt
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


def check_file(path: Path) -> None:
    """Raise BadVideo unless this is a regular file with bytes in it that may be read."""
    try:
        status = path.stat()
    except OSError as error:
        raise BadVideo("unreadable", f"it cannot be read: {error.strerror}") from error
    if not stat.S_ISREG(status.st_mode):
        raise BadVideo("unreadable", "it is not a regular file")
    if status.st_size == 0:
        raise BadVideo("empty", "it is empty (0 bytes)")
    if not os.access(path, os.R_OK):
        raise BadVideo("unreadable", "it cannot be read: Permission denied")


def _refusal(path: Path, error: Exception) -> BadVideo:
    """Say why FFmpeg did not open a file that can be read."""
    try:
        with path.open("rb") as file:
            head = file.read(12)
    except OSError as unreadable:
        return BadVideo("unreadable", f"it cannot be read: {unreadable.strerror}")
    if head[4:8] == b"ftyp":
        return BadVideo("truncated", "it has no index (moov): cut off, or never completed; repair it")
    if head[:4] in (b"\x1aE\xdf\xa3", b"RIFF", b"GIF8"):
        return BadVideo("corrupt", f"its header is cut off or damaged ({_words(error)})")
    return BadVideo("not-a-video", f"FFmpeg knows no format like it ({_words(error)})")


def _gif_ends(path: Path) -> bool:
    """Whether a GIF has its trailer; FFmpeg takes one without it for whole."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 512))
        return file.read().rstrip(b"\0\r\n").endswith(b";")


def _words(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)
