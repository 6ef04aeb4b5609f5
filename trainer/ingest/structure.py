"""What a file's own structure says of its length and its end, where FFmpeg tells nothing of it."""

import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

from trainer.ingest import media

# Bytes at the end of a program stream that hold the start of a packet at least.
LAST_PACKS = 128 << 10
_START_CODE = re.compile(rb"\x00\x00\x01[\xb9-\xef]")
_BOX_KIND = re.compile(rb"[ -~\xa9]{4}")
# The object of an ASF header that tells the length: its GUID, and what of the header is looked at.
_ASF_FILE = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_ASF_HEADER = 64 << 10


def fault_at_end(path: Path, container_format: str) -> str | None:
    """Say what is wrong with how a file ends, None where nothing is or nothing tells."""
    size = media.status(path).size
    with media.reading(path) as file:
        if container_format == "gif":
            return _fault_of_gif(file)
        if container_format in ("mpegts", "mpeg") and not _stream_ends(file, size, container_format):
            return "its last bytes are no video: cut off or damaged"
        if "mp4" in container_format.split(",") and _fragments_break_off(file, size):
            return "its fragments are cut off or damaged"
    return None


def joined(path: Path, container_format: str) -> int:
    """Return how many MP4 films lie in a file, one behind the other; FFmpeg reads the first alone."""
    if "mp4" not in container_format.split(","):
        return 1
    with media.reading(path) as file:
        kinds = [kind for kind, _, _ in boxes_of(file, 0, media.status(path).size)]
    # Segments may repeat their header.
    return 1 if b"moof" in kinds else kinds.count(b"moov")


def asf_length(path: Path, container_format: str) -> Fraction | None:
    """Return the seconds that an ASF header tells; FFmpeg does not believe it where bytes are missing."""
    if container_format != "asf":
        return None
    with media.reading(path) as file:
        head = file.read(_ASF_HEADER)
    start = head.find(_ASF_FILE)
    fields = head[start + 24 : start + 92]
    if start < 0 or len(fields) < 68 or fields[64] & 1:  # being broadcast: nothing in it counts
        return None
    play, preroll = (int.from_bytes(fields[at : at + 8], "little") for at in (40, 56))
    return Fraction(play, 10_000_000) - Fraction(preroll, 1000)


def boxes_of(file: BinaryIO, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield kind, start and end of the content of the MP4 boxes that lie between two places."""
    for kind, content, following in _boxes(file, start, end):
        yield kind, content, min(following, end)


def packet_size(data: bytes) -> int:
    """Return the distance of a transport stream's packets, 0 for what is none."""
    for size in (188, 192, 204):
        for offset in range(min(size, len(data))):
            marks = data[offset::size]
            if len(marks) >= 3 and marks.count(b"G") * 10 >= len(marks) * 9:
                return size
    return 0


def _boxes(file: BinaryIO, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield kind, start of the content, and end as the box tells it, be it beyond the file's."""
    while start + 8 <= end:
        file.seek(start)
        head = file.read(16)
        size, content = int.from_bytes(head[:4], "big"), start + 8
        if size == 1:
            size, content = int.from_bytes(head[8:16], "big"), start + 16
        following = end if size == 0 else start + size
        if following < content:
            return
        yield head[4:8], content, following
        start = following


def _fragments_break_off(file: BinaryIO, end: int) -> bool:
    """Whether the fragments of an MP4, which promise no length together, are not whole up to the end."""
    kinds, reached = set[bytes](), 0
    for kind, _, following in _boxes(file, 0, end):
        if not _BOX_KIND.fullmatch(kind):
            break
        kinds.add(kind)
        reached = following
    # Behind their index, the last box, lies nothing of them.
    return b"moof" in kinds and b"mfra" not in kinds and reached != end


def _stream_ends(file: BinaryIO, size: int, container_format: str) -> bool:
    """Whether the last bytes of an MPEG stream are still its packets and no filling."""
    transport = container_format == "mpegts"
    file.seek(max(0, size - (20 * 204 if transport else min(LAST_PACKS, max(1 << 13, size // 10)))))
    data = file.read()
    return packet_size(data) > 0 if transport else _START_CODE.search(data) is not None


def _fault_of_gif(file: BinaryIO) -> str | None:
    """Walk a GIF's blocks to its trailer; FFmpeg takes one without, or with damage between, for whole."""
    file.seek(10)
    _skip_colours(file, file.read(3)[:1])
    while kind := file.read(1):
        if kind == b";":
            return None
        if kind == b",":
            _skip_colours(file, file.read(9)[8:])
            file.read(1)
        elif kind == b"!":
            file.read(1)
        elif kind != b"\0":
            return "it is damaged"
        else:
            continue
        while length := file.read(1):
            if length == b"\0":
                break
            file.seek(length[0], 1)
    return "it is cut off in the last picture"


def _skip_colours(file: BinaryIO, flags: bytes) -> None:
    if flags and flags[0] & 0x80:
        file.seek(3 << ((flags[0] & 7) + 1), 1)
