"""Open a video file and choose its stream, or say in one sentence why that cannot be."""

from __future__ import annotations  # av.Packet is generic to type checkers only

import contextlib
import os
from collections.abc import Iterator, Sequence
from errno import EINVAL
from pathlib import Path

import av
import av.error
from av.container import InputContainer
from av.format import Flags
from av.packet import Packet
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from trainer.ingest import media, reasons
from trainer.ingest.errors import BadVideo, Kind
from trainer.ingest.limits import DEFAULT, Limits
from trainer.ingest.remote import Remote

# Where the first 5 MB do not show the video stream: ten minutes, and as many bytes as may lie in memory.
FURTHER = {"probesize": str(100 << 20), "analyzeduration": str(600 * 1_000_000)}
# Packets looked at for a stream's second picture.
FIRST_PACKETS = 2000
STILL = Disposition.attached_pic | Disposition.still_image | Disposition.timed_thumbnails
# What FFmpeg draws text files as, and brands of pictures in MP4's format.
_TEXT = {"tty", "bin", "xbin", "adf", "idf"}
_PICTURE_BRANDS = {"avif", "heic", "heix", "heim", "heis", "mif1", "jpeg", "miaf"}


@contextlib.contextmanager
def opened(path: Path, limits: Limits = DEFAULT) -> Iterator[InputContainer]:
    """Open a regular file for demuxing. Raises BadVideo."""
    check_file(path)
    with reasons.source(path) as source:
        container = _open(path, source, limits.options)
        if not any(_known(stream) for stream in container.streams.video):
            container.close()
            container = _open(path, source, limits.options | FURTHER)
        with container:
            yield container


def video_stream(container: InputContainer, path: Path, limits: Limits = DEFAULT) -> VideoStream:
    """Return the stream a player shows: the first default one of those that move. Raises BadVideo."""
    name = container.format.name
    candidates = [stream for stream in container.streams.video if not stream.disposition & STILL]
    if not candidates:
        raise _no_video(container)
    if name in _TEXT:
        raise BadVideo("not-a-video", "it is text")
    stream = _choose(path, candidates)
    if name == "webp_pipe" and reasons.is_animated_webp(path):
        raise BadVideo("unsupported-codec", "FFmpeg reads no animated WebP; convert it to GIF or MP4")
    if _is_picture(container, stream):
        raise BadVideo("not-a-video", "it is a picture")
    if "enc_key_id" in stream.metadata or reasons.is_encrypted(path, name):
        raise reasons.encrypted()
    if getattr(stream, "codec_context", None) is None:
        raise BadVideo("unsupported-codec", "FFmpeg has no decoder for its video codec; convert it to H.264")
    limits.check_size(stream.width, stream.height)
    stream.codec_context.options = limits.options
    return stream


def may_leap(container: InputContainer) -> bool:
    """Whether the format allows timestamps that are set anew within a file; such formats tell no length."""
    return Flags.ts_discont in Flags(container.format.flags)


def demuxed(container: InputContainer) -> Iterator[Packet[Stream]]:
    """Yield all packets of the streams known from the start, those to flush decoders last.

    PyAV fails at packets of a stream that appears within the file; the next ones come all the same.
    """
    while True:
        try:
            yield from container.demux()
        except IndexError:
            continue
        return


def check_file(path: Path) -> None:
    """Raise BadVideo unless this is a regular file with bytes in it that may be read."""
    try:
        size = media.status(path).size
    except OSError as error:
        not_regular = error.errno == EINVAL
        raise BadVideo(
            "unreadable", str(error.strerror) if not_regular else f"it cannot be read: {error.strerror}"
        ) from error
    if size == 0:
        raise BadVideo("empty", "it is empty (0 bytes)")
    if not media.is_remote(path) and not os.access(path, os.R_OK):
        raise BadVideo("unreadable", "it cannot be read: Permission denied")


def _open(path: Path, source: str | Remote, chosen: dict[str, str]) -> InputContainer:
    try:
        if not isinstance(source, str):
            source.seek(0)
        return av.open(source, "r", options=reasons.options_for(source, chosen), metadata_errors="replace")
    except (av.error.FFmpegError, OSError) as error:
        raise reasons.not_opened(path, error) from error


def _known(stream: VideoStream) -> bool:
    """Whether a stream may be the film and tells its size, or will never tell it."""
    if stream.disposition & STILL:
        return False
    return getattr(stream, "codec_context", None) is None or bool(stream.width and stream.height)


def _choose(path: Path, candidates: Sequence[VideoStream]) -> VideoStream:
    """Return the first default one, else the first, of the streams with more than one picture."""
    if len(candidates) > 1:
        pictures = {stream.index: stream.frames for stream in candidates}
        if 0 in pictures.values():
            pictures = _count(path, list(pictures))
        candidates = [each for each in candidates if pictures[each.index] > 1] or candidates
    return next((each for each in candidates if each.disposition & Disposition.default), candidates[0])


def _count(path: Path, streams: Sequence[int]) -> dict[int, int]:
    """Return how many pictures the first packets hold, by stream."""
    counts = dict.fromkeys(streams, 0)
    with (
        reasons.source(path) as source,
        _open(path, source, DEFAULT.options) as container,
        contextlib.suppress(av.error.FFmpegError, OSError),
    ):
        for number, packet in enumerate(demuxed(container)):
            if number == FIRST_PACKETS:
                break
            if packet.stream.index in counts:
                counts[packet.stream.index] += packet.size > 0
    return counts


def _is_picture(container: InputContainer, stream: VideoStream) -> bool:
    name = container.format.name
    if name.endswith("_pipe") or name in ("image2", "ico"):
        return True
    return container.metadata.get("major_brand", "") in _PICTURE_BRANDS and stream.frames <= 1


def _no_video(container: InputContainer) -> BadVideo:
    if not len(container.streams):
        return BadVideo("corrupt", "none of its streams is whole: cut off or damaged")
    kinds = ", ".join(sorted({stream.type for stream in container.streams if stream.type != "video"}))
    cover = "cover art" if container.streams.video else ""
    kind: Kind = "audio-only" if container.streams.audio else "not-a-video"
    return BadVideo(kind, f"it has no video stream, only {' and '.join(filter(None, [kinds, cover]))}")
