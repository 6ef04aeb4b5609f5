"""Warm-up: reads memory-mapped files into the page cache; a page fault costs a hundred cached reads."""

import logging
import mmap
import os
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

log = logging.getLogger("spr.warming")

CHUNK = 64 << 20
# Of the memory that is available, this share may be filled: the rest is for work.
SHARE = 0.8


def warm(what: str, arrays: Sequence[NDArray[Any]]) -> None:
    """Bring arrays into memory as far as there is room, and log how many bytes that took how long."""
    began = time.monotonic()
    read = read_through(arrays)
    size = sum(array.nbytes for array in arrays)
    about = {"bytes": read, "of": size, "seconds": round(time.monotonic() - began, 3)}
    if read < size:
        log.warning("%s do not all fit into memory; queries may wait for the disk", what, extra=about)
    else:
        log.info("%s are in memory", what, extra=about)


def read_through(arrays: Sequence[NDArray[Any]], room: int | None = None) -> int:
    """Touch every page of the arrays until `room` bytes are read (default: as memory allows); return them."""
    left = int(SHARE * available_bytes()) if room is None else room
    read = 0
    for array in arrays:
        source = _mapping(array)
        if source is not None:
            source.madvise(mmap.MADV_WILLNEED)
        pages = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        for begin in range(0, len(pages), CHUNK):
            part = pages[begin : begin + min(CHUNK, left - read)]
            part[:: mmap.PAGESIZE].max(initial=0)
            read += len(part)
            if read >= left:
                return read
    return read


def available_bytes() -> int:
    """Return the memory that can be had without swapping, by this machine and by the container's limit."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            lines = dict(line.split(":", 1) for line in file)
        free = int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError, IndexError):
        free = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    return min(free, _limit())


def _limit() -> int:
    """Return what the control group leaves, page cache not counted as used; huge where there is no limit."""
    try:
        with open("/sys/fs/cgroup/memory.max", encoding="ascii") as file:
            limit = int(file.read())
        with open("/sys/fs/cgroup/memory.stat", encoding="ascii") as file:
            lines = dict(line.split() for line in file)
        return max(0, limit - int(lines["anon"]))
    except (OSError, KeyError, ValueError):
        return 1 << 62


def _mapping(array: NDArray[Any]) -> mmap.mmap | None:
    base: Any = array
    while base is not None and not isinstance(base, mmap.mmap):
        base = getattr(base, "base", None)
    return base
