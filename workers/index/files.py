"""A shard's files: written, and opened without reading what is not needed.

index.faiss        the FAISS index; of an index that scores candidates anew, the coarse half
originals.faiss    its fine half, row i = segment i (fp16 as a rule): stays on disk, mapped
search.json        {"factor", "nprobe"}: how hard a search tries unless it says otherwise
"""

import dataclasses
import logging
import os
import threading
from pathlib import Path
from typing import Any

import faiss

from engine.errors import Mismatch, NotFound, Unavailable
from engine.files import read_json, sync, write_json
from workers.index.effort import Effort
from workers.index.parameters import inverted_lists
from workers.index.training import reason

INDEX = "index.faiss"
ORIGINALS = "originals.faiss"
SEARCH = "search.json"

_log = logging.getLogger("spr.index")


def own_effort(index: Any) -> Effort:
    """Return what an index is set to."""
    ivf = inverted_lists(index)
    factor = int(index.k_factor) if isinstance(index, faiss.IndexRefine) else 0
    return Effort(factor, int(ivf.nprobe) if ivf is not None else 0)


def write(index: Any, effort: Effort, directory: Path) -> None:
    """Write an index, the originals apart, synced."""
    coarse = index
    if isinstance(index, faiss.IndexRefine):
        coarse = index.base_index
        faiss.write_index(index.refine_index, str(directory / ORIGINALS))
        sync(directory / ORIGINALS)
    faiss.write_index(coarse, str(directory / INDEX))
    sync(directory / INDEX)
    write_effort(effort, directory)


def write_effort(effort: Effort, directory: Path) -> None:
    """Set how hard searches of a written shard try."""
    write_json(directory / SEARCH, dataclasses.asdict(effort))


def read(directory: Path) -> tuple[Any, Effort]:
    """Map an index and return it with its effort.

    Raises NotFound for a missing file, Mismatch for a damaged one, Unavailable for one larger than memory.
    """
    path = directory / SEARCH
    try:
        effort = Effort(**read_json(path)) if path.is_file() else None
        check_memory(directory / INDEX)
        index = _read(directory / INDEX)
        if effort is not None and effort.factor:
            index = _refine(index, _read(directory / ORIGINALS))
            index.k_factor = effort.factor
    except FileNotFoundError as error:
        raise NotFound(f"{error.filename} does not exist: copy it again or run `spr build`.") from None
    except (TypeError, ValueError, RuntimeError) as error:
        message = f"{directory} cannot be read ({reason(error)}): copy it again or run `spr build`."
        raise Mismatch(message, reason="GENERATION_CORRUPT") from None
    return index, effort or own_effort(index)


def check_memory(path: Path) -> None:
    """Refuse (Unavailable) a file that every search goes through but that memory cannot hold."""
    size, free = path.stat().st_size, available_memory()
    if free is not None and size > free:
        message = f"{path} takes {size >> 20} MB of memory and {free >> 20} MB are available: "
        raise Unavailable(message + "use a larger machine, more shards, or --index auto.", "NO_MEMORY")


def available_memory() -> int | None:
    """Return the bytes that can be used without swapping, None where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError, IndexError):
        return None


def prefetch(directory: Path) -> threading.Thread | None:
    """Have the originals read in the background, where they fit into memory: a cold page costs 100 warm."""
    path = directory / ORIGINALS
    if not path.is_file() or not hasattr(os, "posix_fadvise"):
        return None
    size, free = path.stat().st_size, available_memory()
    if free is not None and size > free:
        _log.warning(
            "%s (%d MB) is larger than the available memory: searches will wait for the disk",
            path,
            size >> 20,
        )
        return None
    thread = threading.Thread(target=_advise, args=(path, size), name="prefetch", daemon=True)
    thread.start()
    return thread


def _advise(path: Path, size: int) -> None:
    step = 1 << 24
    with path.open("rb") as file:
        for start in range(0, size, step):
            os.posix_fadvise(file.fileno(), start, step, os.POSIX_FADV_WILLNEED)


def _read(path: Path) -> Any:
    if not path.is_file():
        raise FileNotFoundError(2, "missing", str(path))
    try:
        return faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
    except RuntimeError:
        # Not every kind of index can be mapped.
        return faiss.read_index(str(path))


def _refine(coarse: Any, originals: Any) -> Any:
    if (coarse.ntotal, coarse.d) != (originals.ntotal, originals.d):
        message = f"{ORIGINALS} holds {originals.ntotal} vectors of width {originals.d}, {INDEX} "
        raise ValueError(message + f"{coarse.ntotal} of {coarse.d}")
    return faiss.IndexRefine(coarse, originals)
