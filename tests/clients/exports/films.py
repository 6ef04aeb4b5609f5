"""Moments and files that exist only as numbers, and small real files."""

from fractions import Fraction
from pathlib import Path

import av

from spr_client import Coverage, Moment, SearchResult
from spr_gateway.exports.excerpts import Excerpt, excerpt
from spr_gateway.exports.footage import Footage
from spr_gateway.exports.timecode import Counting


def moment(video: str, start: float, end: float, rank: int = 1, uri: str = "") -> Moment:
    return Moment(video, start, end, rank, 2.5, True, 0.5, start, end, rank, uri, 0.931)


def answer(*moments: Moment) -> SearchResult:
    coverage = Coverage(1, 1, 3, 3, 1.0)
    return SearchResult(moments, len(moments), "", "r", coverage, "films", "g", "e", "relo", {}, True)


def film(name: str, counting: Counting, start: int = 0, channels: int = 2, hours: int = 3) -> Footage:
    frames = round(3600 * hours * counting.rate)
    return Footage(Path("/films") / name, counting, start, frames, 1920, 1080, channels, 48000)


def shown(seen: Footage, first: int, end: int, rank: int = 1) -> Excerpt:
    """The excerpt of a moment that begins and ends on edges of frames, as floats."""
    begin, until = (float(seen.counting.seconds(frame)) for frame in (first, end))
    return excerpt(moment(seen.path.stem, begin, until, rank), seen)


def write_film(path: Path, rate: Fraction, seconds: float = 1.0, timecode: str = "", skip: int = 0) -> Path:
    """Write a small real file, each picture 4 brighter than the last; every `skip`-th is left out."""
    with av.open(path, "w") as container:
        if timecode and path.suffix != ".mov":
            container.metadata["timecode"] = timecode
        stream = container.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.time_base = 1 / rate
        if timecode and path.suffix == ".mov":
            stream.metadata["timecode"] = timecode
        for index in range(round(seconds * rate)):
            if skip and index % skip == skip - 1:
                continue
            frame = av.VideoFrame(64, 48, "yuv420p")
            for plane, level in zip(frame.planes, (16 + 4 * (index % 50), 128, 128), strict=True):
                plane.update(bytes([level]) * plane.buffer_size)
            frame.pts, frame.time_base = index, 1 / rate
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
