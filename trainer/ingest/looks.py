"""What a file is by its name and its first bytes: a video, something else, or a video that is left out."""

import mimetypes
from pathlib import Path

from trainer.ingest import media

# Extensions taken for videos before any byte is read.
EXTENSIONS = frozenset(
    (
        ".3g2 .3gp .asf .avi .divx .dv .f4v .flv .gif .m2ts .m2v .m4v .mkv .mov .mp4 .mpe .mpeg .mpg .mts "
        ".mxf .ogm .ogv .rm .rmvb .tod .trp .ts .vob .webm .wmv .wtv"
    ).split()
)
# Those of which the first bytes do not matter.
BY_NAME = EXTENSIONS - {".ts"}
# Names that downloads have until they are complete.
UNFINISHED = frozenset({".part", ".crdownload", ".download", ".partial", ".tmp", ".!ut", ".opdownload"})
# What else has the first bytes of a video.
_NO_VIDEO_BRANDS = (b"M4A", b"M4B", b"M4P", b"mif1", b"hei", b"jpeg", b"jp2", b"jpx", b"crx", b"avif")
# Of Matroska, FLV, program streams, ASF; IVF, YUV4MPEG2, bare MPEG-2; of bare H.264 and H.265, as recorders
# write them, their first units.
_BEGINNINGS = (
    *(b"\x1aE\xdf\xa3", b"FLV\x01", b"\x00\x00\x01\xba", b"0&\xb2u\x8ef\xcf\x11"),
    *(b"DKIF", b"YUV4MPEG2", b"\x00\x00\x01\xb3"),
    *(b"\x00\x00\x00\x01" + unit for unit in (b"\x09", b"\x27", b"\x67", b"\x40\x01", b"\x46\x01")),
)
_TYPES = mimetypes.MimeTypes()
# Enough to see five packets of a transport stream, from wherever in one the file starts.
_HEAD = 6 * 192


def is_video(path: Path) -> bool:
    """Whether a file is to be ingested: by its name, and where a name means two things by its first bytes."""
    suffix = path.suffix.lower()
    if suffix in (".apng", ".avif", ".webp"):
        return _moves(_head(path))
    if suffix not in EXTENSIONS:
        return False
    return suffix != ".ts" or is_transport(_head(path))


def left_out(path: Path) -> str | None:
    """Return why a file that looks like a video is none that is taken, None where it does not look so."""
    suffix = path.suffix.lower()
    if suffix in UNFINISHED and Path(path.stem).suffix.lower() in EXTENSIONS:
        return "its name is that of a download that is not complete"
    if suffix == ".ts" and b"\0" in (_head(path) or b""):
        return "it is no transport stream, nor the text that .ts also stands for"
    # Those of Android's cameras are audio to some tables of types.
    kind = "video/3gpp" if suffix.startswith(".3gpp") else _TYPES.guess_type(path.name)[0]
    if kind is None and suffix not in EXTENSIONS and _starts_a_video(_head(path) or b""):
        return "it starts like a video, but its name does not end like one's; name it to take it"
    if kind is not None and kind.startswith("video/") and suffix not in EXTENSIONS:
        return f"files ending in {suffix} are not looked for; name it to take it"
    return None


def is_transport(head: bytes | None) -> bool:
    """Whether bytes are those of an MPEG transport stream, in packets of 188, 192 or 204, and not text.

    A file that is empty or cannot be read is taken for one: its own error says more.
    """
    if not head:
        return True
    for length in (188, 192, 204):
        if len(head) < 4 * length:
            # Too short to be sure of a start in the middle of a packet.
            if head[::length] == b"G" * len(head[::length]):
                return True
        elif any(head[start::length] == b"G" * len(head[start::length]) for start in range(length)):
            return True
    return False


def _starts_a_video(head: bytes) -> bool:
    if head[4:8] == b"ftyp":
        return not head[8:12].startswith(_NO_VIDEO_BRANDS)
    if head[:4] == b"RIFF":
        return head[8:12] == b"AVI "
    if head.startswith(_BEGINNINGS):
        return True
    return len(head) == _HEAD and is_transport(head)


def _moves(head: bytes | None) -> bool:
    """Whether a PNG, an AVIF or a WebP holds more than a picture."""
    head = head or b""
    return b"acTL" in head or head[8:12] == b"avis" or (head[8:16] == b"WEBPVP8X" and bool(head[20] & 2))


def _head(path: Path) -> bytes | None:
    """Return the first bytes of a regular file, None where there are none to be had."""
    try:
        if not media.exists(path):
            return None
        with media.reading(path) as file:
            return file.read(_HEAD)
    except OSError:
        return None
