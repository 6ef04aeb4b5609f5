"""What every second of a video looks like, in 64 bytes: enough to tell a copy from everything else.

    COLLECTION/parts/<id>/looks.npy      uint8 (seconds, 64): 8 x 8 levels of grey, all videos by number
    COLLECTION/parts/<id>/looks_of.npy   (videos,): first second, seconds, CRC-32 of these seconds

They are made of the pictures that ingest keeps. Parts of release 0.1 have none.
"""

import contextlib
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.corpus import Corpus, PartOfVersion
from engine.files import MALFORMED, sync

LOOKS, LOOKS_OF = "looks.npy", "looks_of.npy"
CELLS = 64  # 8 x 8
Look = NDArray[np.uint8]  # (seconds, CELLS)
NONE: Look = np.zeros((0, CELLS), np.uint8)
_ENTRY = np.dtype([("first", "<i8"), ("seconds", "<i4"), ("crc", "<u4")])
_Opened = tuple[Look, NDArray[np.void]]


def write_looks(building: Path, looks: Iterable[Look]) -> None:
    """Write those of a part's videos, by number, into a part that is built; nothing if all are empty."""
    found = list(looks)
    of = np.zeros(len(found), _ENTRY)
    of["seconds"] = [len(look) for look in found]
    if not of["seconds"].any():
        return
    of["first"] = np.cumsum(of["seconds"], dtype=np.int64) - of["seconds"]
    of["crc"] = [zlib.crc32(look.tobytes()) for look in found]
    for name, rows in ((LOOKS, np.concatenate(found)), (LOOKS_OF, of)):
        np.save(building / name, rows)
        sync(building / name)


def read_part(directory: Path, numbers: Sequence[int]) -> list[Look]:
    """Return those of some videos of a part, empty where there are none."""
    opened = _open(directory)
    return [NONE if opened is None else _of(opened, number) for number in numbers]


class Looks:
    """Those of a version's videos, mapped: a video is read and checked when it is first asked for."""

    def __init__(self, corpus: Corpus) -> None:
        self._parts = corpus.parts
        self._opened: dict[int, _Opened | None] = {}
        self._known: dict[int, Look] = {}

    def of(self, video: int) -> Look:
        """Return that of a video by its ordinal; empty where there is none, or a damaged one."""
        if video not in self._known:
            self._known[video] = self._read(video)
        return self._known[video]

    def _read(self, video: int) -> Look:
        for at, part in enumerate(self._parts):
            numbers = np.flatnonzero(part.ordinals == video)
            if len(numbers):
                if at not in self._opened:
                    self._opened[at] = _listed(part)
                opened = self._opened[at]
                return NONE if opened is None else _of(opened, int(numbers[0]))
        return NONE


def _listed(part: PartOfVersion) -> _Opened | None:
    return _open(part.directory) if LOOKS in part.about.files else None


def _open(directory: Path) -> _Opened | None:
    """Map a part's files; None where there are none that can be used."""
    with contextlib.suppress(OSError, *MALFORMED):
        looks, of = (
            np.load(directory / name, mmap_mode="r", allow_pickle=False) for name in (LOOKS, LOOKS_OF)
        )
        if looks.dtype == np.uint8 and looks.shape[1:] == (CELLS,) and of.dtype == _ENTRY:
            # A plain view: slices of a memory map cost five times as much.
            return np.asarray(looks), np.array(of)
    return None


def _of(opened: _Opened, number: int) -> Look:
    looks, of = opened
    first, seconds, crc = (int(of[number][name]) for name in ("first", "seconds", "crc"))
    if first < 0 or seconds < 0:
        return NONE
    look = looks[first : first + seconds]
    return look if zlib.crc32(look.tobytes()) == crc else NONE
