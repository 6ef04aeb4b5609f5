"""A span of a video as an MP4: video copied where it can be, sound as AAC."""

from __future__ import annotations  # av's classes are generic to type checkers only

import io
import math
from dataclasses import dataclass
from pathlib import Path

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from engine.errors import NotFound
from spr_gateway.cutter import EDGE, LEAD, PAGE, Cutter, Terms, readable
from spr_gateway.pictures import first_time
from spr_gateway.probing import Probe, of
from trainer.ingest.container import opened, video_stream


@dataclass(frozen=True, slots=True)
class Cut:
    """A span that was cut. copied: its pictures are.

    offset, until: seconds of the video at which it begins and ends.
    """

    offset: float
    until: float
    copied: bool
    probe: Probe


@dataclass(frozen=True, slots=True)
class Clip:
    """An MP4 file. offset: the second of the video at which it begins."""

    data: bytes
    offset: float
    probe: Probe

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self.data)


def cut(path: Path, start: float, end: float) -> Clip:
    """Return seconds [start, end) of a file, from the key frame before `start` where the video is copied."""
    out = io.BytesIO()
    made = cut_to(out, path, start, end, PAGE)
    return Clip(out.getvalue(), made.offset, made.probe)


def cut_to(out: io.BytesIO | Path, path: Path, start: float, end: float, terms: Terms) -> Cut:
    """Write seconds [start, end) of a file as an MP4. Raises BadVideo, NotFound where it has no pictures.

    Raises OSError where the disk does not let it write `out`.
    """
    end = min(end, start + terms.longest)
    with opened(path) as source:
        stream = video_stream(source, path)
        about, zero = of(source, stream, path), first_time(stream)
        copied = stream.codec_context.name in terms.codecs
        if math.isinf(terms.near):
            copied = copied and about.how != "convert"
        else:
            copied = copied and _lead(source, stream, zero + start) <= terms.near
        # A name that is not absolute may begin as that of a protocol does.
        name = str(out.absolute()) if isinstance(out, Path) else out
        with av.open(name, "w", format="mp4", options=dict(terms.container)) as target:
            cutter = Cutter(source, target, stream, copied, terms)
            first = cutter.run(zero + start, zero + end, out.tell if isinstance(out, io.BytesIO) else None)
    # Of a copy it may be the key frame alone: a span behind the last picture has none.
    if first is None or cutter.until < zero + start:
        raise NotFound("it has no pictures there", "NO_PICTURE")
    return Cut(first - zero, cutter.until - zero, copied, about)


def _lead(source: InputContainer, stream: VideoStream, start: float) -> float:
    """Return the seconds from the last key frame to a container time, infinity for more than LEAD."""
    base, found = float(stream.time_base or 1), -math.inf
    source.seek(max(0, int((start - LEAD) / base)), stream=stream, backward=True)
    for packet in readable(source, stream):
        if packet.dts is not None and packet.dts * base > start + EDGE:
            break
        if packet.is_keyframe and packet.pts is not None and packet.pts * base <= start + EDGE:
            found = packet.pts * base
    return max(0.0, start - found)
