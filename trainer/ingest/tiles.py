"""Small pictures of a video, made while its frames are decoded anyway: a JPEG a second, in one file.

<collection>/pictures/<key>: `_HEAD`, an index entry a picture, the JPEGs. The key names the video file's
content: a file that moves keeps its pictures, copies share them, and one that changes does not find them.
"""

import contextlib
import hashlib
import io
import struct
import zlib
from collections.abc import Hashable
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from engine.files import replacing
from trainer.ingest import media
from trainer.ingest.video import Sample

DIRECTORY = "pictures"  # of a collection
KEY = "pictures"  # of a record's info: the name of its file
EDGE = 128  # pixels of a picture's short side
QUALITY = 65
STEP = 1.0  # seconds between pictures, until there would be more of them than MOST, or more bytes
MOST = 7200
MOST_BYTES = 24 << 20
NEAR = 1.0  # seconds by which a picture may be beside the time asked for
_ENDS = 1 << 16  # bytes at both ends of a file that tell it from others of its size
_MAGIC = b"SPRPICS1"
_HEAD = struct.Struct("<8sId")  # magic, pictures, seconds between them
_ENTRY = np.dtype([("at", "<u8"), ("size", "<u4"), ("crc", "<u4")])


def key_of(path: Path) -> str:
    """Return the name of a video's pictures: of its size and of the bytes at both ends."""
    with media.reading(path, _ENDS) as file:
        size = file.seek(0, io.SEEK_END)
        digest = hashlib.sha256(size.to_bytes(8, "little"))
        for at in (0, max(0, size - _ENDS)):
            file.seek(at)
            digest.update(file.read(_ENDS))
    return digest.hexdigest()[:32]


class Making:
    """Makes the pictures of the videos of a run. directory: of the collection; None: none are made."""

    def __init__(self, collection: Path | None, fps: Fraction) -> None:
        self._directory = None if collection is None else collection / DIRECTORY
        self._fps = fps
        self._films: dict[Hashable, Film] = {}

    def take(self, job: Hashable, path: Path, sample: Sample) -> None:
        """Take in a frame of a video."""
        if self._directory is None:
            return
        if job not in self._films:
            self._films[job] = Film(key_of(path), self._fps)
        self._films[job].add(sample)

    def store(self, job: Hashable) -> dict[str, str]:
        """Write a video's pictures; return what its record says of them."""
        film = self._films.pop(job, None)
        if film is None or self._directory is None:
            return {}
        film.write(self._directory)
        return {KEY: film.key}

    def drop(self, job: Hashable) -> None:
        """Let go of a video that is not stored."""
        self._films.pop(job, None)


class Film:
    """The pictures of one video as they come. key: the name of their file."""

    def __init__(self, key: str, fps: Fraction) -> None:
        self.key = key
        self._fps = fps
        self._every = max(1, round(STEP * fps))  # rows from one to the next
        self._pictures: list[bytes] = []
        self._bytes = 0

    def add(self, sample: Sample) -> None:
        """Keep a frame for the seconds that it fills. Frames come in order."""
        first, end = -(-sample.row // self._every), -(-(sample.row + sample.rows) // self._every)
        if end <= first:
            return
        data = _jpeg(sample.image)
        self._pictures += [data] * (end - len(self._pictures))
        self._bytes += len(data)
        while len(self._pictures) > MOST or self._bytes > MOST_BYTES:
            self._pictures, self._every = self._pictures[::2], 2 * self._every
            self._bytes = sum(map(len, self._distinct()))

    def write(self, directory: Path) -> None:
        """Write them, whole or not at all."""
        index = np.zeros(len(self._pictures), _ENTRY)
        at, places = _HEAD.size + index.nbytes, dict[int, int]()
        for data in self._distinct():
            places[id(data)], at = at, at + len(data)
        for entry, data in zip(index, self._pictures, strict=True):
            entry["at"], entry["size"], entry["crc"] = places[id(data)], len(data), zlib.crc32(data)
        head = _HEAD.pack(_MAGIC, len(index), float(self._every / self._fps))
        with replacing(directory / self.key) as partial:
            partial.write_bytes(b"".join((head, index.tobytes(), *self._distinct())))

    def _distinct(self) -> list[bytes]:
        """Return the pictures without repetitions: what stands still is kept once."""
        return list({id(data): data for data in self._pictures}.values())


class Tiles:
    """The pictures of one video. size: bytes that this takes in memory."""

    def __init__(self, path: Path, index: NDArray[np.void], step: float) -> None:
        self._path, self._index, self._step = path, index, step
        self.size = 200 + index.nbytes
        self.seconds = round(len(index) * step)  # that they show

    @staticmethod
    def open(collection: Path, video: Path) -> "Tiles":
        """Return the pictures of a video file; without any where there are none."""
        with contextlib.suppress(OSError):
            return Tiles.read(collection / DIRECTORY / key_of(video))
        return Tiles.read(collection)

    @staticmethod
    def read(path: Path) -> "Tiles":
        """Return the pictures that a file has; without any where it is none."""
        with contextlib.suppress(OSError, struct.error, ValueError):
            with path.open("rb") as file:
                magic, count, step = _HEAD.unpack(file.read(_HEAD.size))
                if magic == _MAGIC and 0 < count <= MOST and step > 0:
                    return Tiles(path, np.frombuffer(file.read(count * _ENTRY.itemsize), _ENTRY, count), step)
        return Tiles(path, np.zeros(0, _ENTRY), STEP)

    def at(self, seconds: float) -> bytes | None:
        """Return the JPEG nearest to a time; None where it is further away than NEAR, or damaged."""
        if not len(self._index):
            return None
        place = min(max(0, round(seconds / self._step)), len(self._index) - 1)
        entry = self._index[place]
        if abs(place * self._step - seconds) > NEAR or entry["size"] > MOST_BYTES:
            return None
        with contextlib.suppress(OSError), self._path.open("rb") as file:
            file.seek(int(entry["at"]))
            data = file.read(int(entry["size"]))
            return data if zlib.crc32(data) == entry["crc"] else None
        return None


def _jpeg(image: NDArray[np.uint8]) -> bytes:
    height, width = image.shape[:2]
    scale = EDGE / min(height, width)
    picture = Image.fromarray(image)
    if scale < 1:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        picture = picture.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=QUALITY)
    return out.getvalue()
