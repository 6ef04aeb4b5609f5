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
# Of Matroska: what may follow a block, as IDs with their length's bits.
_BLOCKS = (0xA1, 0xA3)
_MATROSKA = 0x1A45DFA3
_BEHIND_BLOCKS = frozenset(
    int(kind, 16)
    for kind in "a0 a1 a3 a7 ab bf e7 ec 9b fb 75a1 75a2 1f43b675 1c53bb6b 1254c367 1a45dfa3 18538067 "
    "114d9b74 1043a770 1941a469".split()
)
_FLV_TAGS = (8, 9, 18)
# An Ogg page is at most as long.
_OGG_PAGE = 27 + 255 + 255 * 255


def fault_at_end(path: Path, container_format: str) -> str | None:
    """Say what is wrong with how a file ends, None where nothing is or nothing tells."""
    size = media.status(path).size
    with media.reading(path) as file:
        if container_format == "gif":
            return _fault_of_gif(file)
        if container_format in ("mpegts", "mpeg") and not _stream_ends(file, size, container_format):
            return "its last bytes are no video: cut off or damaged"
        if container_format == "ogg" and _page_breaks_off(file, size):
            return "its last page is cut off"
        if "mp4" in container_format.split(",") and _fragments_break_off(file, size):
            return "its fragments are cut off or damaged"
    return None


def breaks_off(path: Path, container_format: str, last: int) -> bool:
    """Whether a recording without a length ends within a packet; last: the place of the last whole one."""
    follow = {"matroska,webm": _block_breaks_off, "flv": _tag_breaks_off}.get(container_format)
    if follow is None or last < 9:
        return False
    with media.reading(path) as file:
        return follow(file, last, media.status(path).size)


def another_behind(path: Path, container_format: str, last: int) -> bool:
    """Whether another Matroska film begins behind the packet, of the place `last`, that was read last."""
    if container_format != "matroska,webm" or last < 9:
        return False
    with media.reading(path) as file:
        return any(kind == _MATROSKA for kind, _ in _elements(file, last, media.status(path).size))


def joined(path: Path, container_format: str) -> int:
    """Return how many MP4 films lie in a file, one behind the other; FFmpeg reads the first, or parts."""
    if "mp4" not in container_format.split(","):
        return 1
    with media.reading(path) as file:
        kinds = [kind for kind, _, _ in boxes_of(file, 0, media.status(path).size)]
    # Segments may repeat their header; the index of fragments stands behind all of a film's.
    return max(1, kinds.count(b"mfra")) if b"moof" in kinds else kinds.count(b"moov")


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


def _block_breaks_off(file: BinaryIO, content: int, end: int) -> bool:
    """Whether one of the elements of Matroska behind the block whose content begins there is not whole."""
    return any(following > end for _, following in _elements(file, content, end))


def _elements(file: BinaryIO, content: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield kind and end of the elements of Matroska that follow a block, as far as they are known ones.

    content: where that of the block begins. That of one cut off in its head ends behind the file.
    """
    file.seek(content - 9)
    head = file.read(9)
    for length in range(1, 9):
        size, used = _number(head[-length:], marker=False)
        if used == length and head[-length - 1] in _BLOCKS:
            place = content + size
            yield head[-length - 1], place
            break
    else:
        return
    while place < end:
        file.seek(place)
        head = file.read(12)
        kind, used = _number(head, marker=True)
        if kind not in _BEHIND_BLOCKS:
            return
        size, more = _number(head[used:], marker=False)
        # A cluster of unknown length is gone through.
        place += used + more + (0 if size == (1 << 7 * more) - 1 else size)
        if not more and place > end - 12:
            place = end + 1
        yield kind, place


def _number(data: bytes, *, marker: bool) -> tuple[int, int]:
    """Return a number of EBML and how many bytes it has, 0 where not all are there.

    marker: with the bit that tells its length.
    """
    length = 9 - data[0].bit_length() if data else 9
    if len(data) < length:
        return 0, 0
    number = int.from_bytes(data[:length], "big")
    return number if marker else number & ((1 << 7 * length) - 1), length


def _tag_breaks_off(file: BinaryIO, place: int, end: int) -> bool:
    """Whether one of the tags of an FLV from there on is not whole."""
    while place < end:
        file.seek(place)
        head = file.read(4)
        if head[0] & 31 not in _FLV_TAGS:
            return False
        following = place + 11 + int.from_bytes(head[1:4], "big")
        if len(head) < 4 or following > end:
            return True
        place = following + 4
    return False


def _page_breaks_off(file: BinaryIO, size: int) -> bool:
    """Whether the last page of an Ogg file is not whole."""
    file.seek(max(0, size - _OGG_PAGE))
    data = file.read()
    page = data[data.rfind(b"OggS") :]
    sizes = page[27 : 27 + page[26]] if len(page) > 26 else b""
    return page.startswith(b"OggS") and len(page) < 27 + len(sizes) + sum(sizes)


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
