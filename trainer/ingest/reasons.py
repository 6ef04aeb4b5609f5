"""Read a file's own structure to name why it does not open or decode."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from errno import EAGAIN
from pathlib import Path
from typing import BinaryIO

import av
import av.error
import av.logging

from trainer.ingest import media
from trainer.ingest.errors import BadVideo
from trainer.ingest.limits import Limits, too_many_pixels
from trainer.ingest.remote import Remote
from trainer.ingest.structure import boxes_of, packet_size

# Bytes looked at: of one MP4 header, of a transport stream.
HEADER = 64 << 20
START = 2 << 20
_SIZE = re.compile(r"Picture size (\d+)x(\d+) (?:exceeds specified max pixel count|is invalid)")
# Of a playlist, whose files are encrypted.
_KEY = re.compile(rb"^#EXT-X-(?:SESSION-)?KEY:(?!.*METHOD=NONE)", re.M)
_MOVIE_BOXES = {b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"styp", b"moof", b"sidx"}
_PARENTS = {b"moov": 0, b"trak": 0, b"mdia": 0, b"minf": 0, b"stbl": 0, b"stsd": 8}
_ENCRYPTED = {b"encv", b"drmi"}


def words(error: Exception) -> str:
    """Return what FFmpeg or the system says, without the name of an exception."""
    if getattr(error, "errno", None) == EAGAIN:
        return "no packet in what follows"
    return str(getattr(error, "strerror", None) or error or "no reason given")


def not_opened(path: Path, error: Exception) -> BadVideo:
    """Say why FFmpeg did not open a file that can be read."""
    try:
        with media.reading(path) as file:
            head = file.read(12)
            boxes = (
                [kind for kind, _, _ in boxes_of(file, 0, media.status(path).size)] if _is_mp4(head) else []
            )
    except OSError as unreadable:
        return BadVideo("unreadable", f"it cannot be read: {unreadable.strerror}")
    if boxes and b"moov" not in boxes:
        if b"moof" in boxes or head[4:8] == b"styp":
            return BadVideo(
                "truncated", "it is a segment without its header (moov); join it behind the first segment"
            )
        return BadVideo("truncated", "it has no index (moov): cut off, or never completed; repair it")
    if boxes and is_encrypted(path, "mp4"):
        return encrypted()
    if head.startswith(b"#EXTM3U"):
        return _playlist(path)
    if boxes or head[:4] in (b"\x1aE\xdf\xa3", b"RIFF", b"GIF8"):
        return BadVideo("corrupt", f"its header is cut off or damaged ({words(error)})")
    return BadVideo("not-a-video", f"FFmpeg knows no format like it ({words(error)})")


def _playlist(path: Path) -> BadVideo:
    """Say why a playlist does not open."""
    with media.reading(path) as file:
        text = file.read(START)
    if _KEY.search(text):
        return encrypted()
    return BadVideo("not-a-video", "it is a playlist of files that are not here, or no videos; name those")


@contextlib.contextmanager
def source(path: Path) -> Iterator[str | Remote]:
    """Give a file to FFmpeg: its name, or where it is behind a URL its bytes.

    BadVideo where these could not be had, whatever a decoder made of it.
    """
    if not media.is_remote(path):
        yield f"file:{path}"
        return
    with media.reading(path) as remote:
        assert isinstance(remote, Remote)
        try:
            yield remote
        except Exception:
            _check(remote)
            raise
        _check(remote)


def options_for(given: str | Remote, options: dict[str, str]) -> dict[str, str]:
    """Return FFmpeg's options for a source: what comes from elsewhere, as a playlist, opens no files here."""
    return options if isinstance(given, str) else options | {"protocol_whitelist": "none"}


def _check(remote: Remote) -> None:
    if remote.fault is not None:
        raise BadVideo("unreadable", f"it cannot be read: {remote.fault.strerror}") from remote.fault


def encrypted() -> BadVideo:
    """Say that a key is missing."""
    return BadVideo(
        "encrypted", "its pictures are encrypted and the file holds no key; export it without protection"
    )


def is_encrypted(path: Path, container_format: str) -> bool:
    """Whether a file's headers say that its pictures are encrypted or scrambled."""
    try:
        with media.reading(path) as file:
            if "mp4" in container_format.split(","):
                return bool(_ENCRYPTED & sample_entries(path))
            return container_format == "mpegts" and _scrambled(file.read(START))
    except OSError:
        return False


def sample_entries(path: Path) -> set[bytes]:
    """Return what the tracks of an MP4 hold: avc1, mp4a, encv ... Raises OSError."""
    with media.reading(path) as file:
        return {*_sample_entries(file, 0, media.status(path).size)}


def is_animated_webp(path: Path) -> bool:
    """Whether a WebP file has its animation flag set."""
    with media.reading(path) as file:
        head = file.read(21)
    return head[12:16] == b"VP8X" and bool(head[20] & 2)


def undecoded(path: Path, codec: str, packets: int, unsupported: bool, limits: Limits) -> BadVideo:
    """Say why none of a file's video packets became a picture."""
    if not packets:
        return BadVideo("empty", "it has a video stream without any picture: a header alone")
    if found := _SIZE.search(_decoder_says(path, limits.options)):
        return too_many_pixels(int(found[1]), int(found[2]), limits.pixels)
    if unsupported:
        return BadVideo(
            "unsupported-codec", f"FFmpeg cannot decode this kind of {codec}; convert it to H.264"
        )
    return BadVideo("corrupt", f"none of its {packets} video packets decodes as {codec}")


def _is_mp4(head: bytes) -> bool:
    return head[4:8] in _MOVIE_BOXES


def _sample_entries(file: BinaryIO, start: int, end: int) -> Iterator[bytes]:
    """Yield what the tracks of an MP4 hold: avc1, mp4a, encv ..."""
    for kind, content, finish in boxes_of(file, start, end):
        if kind == b"stsd":
            yield from (entry for entry, _, _ in boxes_of(file, content + 8, finish))
        elif kind in _PARENTS and finish - content <= HEADER:
            yield from _sample_entries(file, content + _PARENTS[kind], finish)


def _scrambled(data: bytes) -> bool:
    """Whether packets of a transport stream have their scrambling bits set."""
    size = packet_size(data[: 204 * 50])
    start = next((i for i in range(size) if data[i : i + size * 5 : size] == b"G" * 5), 0)
    marks, control = (data[start::size], data[start + 3 :: size]) if size else (b"", b"")
    # Damage between the packets says nothing.
    whole = [byte for mark, byte in zip(marks, control, strict=False) if mark == ord("G")]
    return sum(byte >= 0x80 for byte in whole) * 10 > len(whole)


def _decoder_says(path: Path, options: dict[str, str]) -> str:
    """Decode the first packets again and return the decoder's own words."""
    level = av.logging.get_level()
    av.logging.set_level(av.logging.ERROR)
    try:
        with (
            av.logging.Capture(local=False) as logs,
            source(path) as given,
            av.open(given, "r", options=options_for(given, options)) as container,
        ):
            stream = container.streams.video[0]
            stream.codec_context.options = options
            for number, packet in enumerate(container.demux(stream)):
                if number == 20:
                    break
                try:
                    packet.decode()
                except av.error.FFmpegError:
                    continue
    except (av.error.FFmpegError, OSError, ValueError):
        return ""
    finally:
        av.logging.set_level(level)
    return " ".join(text for _, _, text in logs)
