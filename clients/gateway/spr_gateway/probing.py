"""How a file can be played in a browser: as it is, copied into an MP4, or converted."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from av.container import InputContainer
from av.video.stream import VideoStream

from trainer.ingest.container import opened, video_stream

How = Literal["direct", "copy", "convert"]
# What every current browser plays, by container: video codecs, audio codecs.
_MP4 = {"h264", "av1", "vp9"}, {"aac", "mp3", "opus", "flac"}
_WEBM = {"vp8", "vp9", "av1"}, {"vorbis", "opus"}
_PLAYABLE = {
    ".mp4": ("video/mp4", *_MP4),
    ".m4v": ("video/mp4", *_MP4),
    ".mov": ("video/mp4", {"h264"}, {"aac", "mp3"}),
    ".webm": ("video/webm", *_WEBM),
}
_NAMES = {"hevc": "HEVC", "mpeg4": "MPEG-4 part 2", "mpeg2video": "MPEG-2", "h264": "H.264", "wmv2": "WMV"}


@dataclass(frozen=True, slots=True)
class Probe:
    """What a file is. why: of one that is not played as it is, what a browser cannot play."""

    how: How
    why: str
    mime: str
    width: int
    height: int
    size: int = 200


def probe(path: Path) -> Probe:
    """Look into a file; BadVideo where it is no video."""
    with opened(path) as container:
        return of(container, video_stream(container, path), path)


def of(container: InputContainer, stream: VideoStream, path: Path) -> Probe:
    """Judge an open file."""
    video, plain = stream.codec_context.name, _plain(stream)
    audio = {each.codec_context.name for each in container.streams.audio}
    suffix = path.suffix.lower()
    mime, videos, audios = _PLAYABLE.get(suffix, ("video/mp4", set(), set()))
    if video in videos and plain and audio <= audios:
        return Probe("direct", "", mime, stream.width, stream.height)
    if video == "h264" and plain:
        what = f"{suffix or 'this container'} files" if not videos else f"{', '.join(sorted(audio))} sound"
        return Probe("copy", f"browsers do not play {what}", "video/mp4", stream.width, stream.height)
    name = _NAMES.get(video, video)
    what = name if plain else f"{name} in {stream.codec_context.pix_fmt}"
    return Probe("convert", f"browsers do not play {what}", "video/mp4", stream.width, stream.height)


def _plain(stream: VideoStream) -> bool:
    """Whether pictures have 8 bits in 4:2:0; of H.264 browsers decode no others."""
    return stream.codec_context.pix_fmt in ("yuv420p", "yuvj420p", "nv12", None)
