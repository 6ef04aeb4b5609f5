"""A shard's files: written safely, opened as memory maps.

index.faiss        the FAISS index; of an index that scores candidates anew, the coarse half
originals.faiss    its fine half, row i = segment i (fp16 as a rule): stays on disk, mapped
search.json        {"factor", "nprobe"}: how hard a search tries unless it says otherwise
"""

import dataclasses
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from engine.errors import Mismatch, NotFound, Unavailable
from engine.files import read_json, refusal, sync, write_json
from workers.index.effort import Effort
from workers.index.parameters import inverted_lists
from workers.index.training import reason
from workers.warming import available_bytes, warm

INDEX = "index.faiss"
ORIGINALS = "originals.faiss"
SEARCH = "search.json"


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
        _write(index.refine_index, directory / ORIGINALS)
    _write(coarse, directory / INDEX)
    write_effort(effort, directory)


_callbacks: Any = faiss  # its stubs lack them


def _write(index: Any, path: Path) -> None:
    # FAISS's own writer does not notice what a disk refuses when the file is closed.
    try:
        with path.open("wb") as file:
            faiss.write_index(index, _callbacks.PyCallbackIOWriter(file.write))
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None
    sync(path)


def write_effort(effort: Effort, directory: Path) -> None:
    """Set how hard searches of a written shard try."""
    write_json(directory / SEARCH, dataclasses.asdict(effort))


def read(directory: Path) -> tuple[Any, Effort]:
    """Map an index and return it with its effort.

    Raises NotFound for a missing file, Mismatch for a damaged one, Unavailable for one larger than memory.
    """
    path = directory / SEARCH
    try:
        effort = Effort(**read_json(path, dict)) if path.is_file() else None
        check_memory(directory / INDEX)
        index = _read(directory / INDEX)
        if effort is not None and effort.factor:
            index = _refine(index, _read(directory / ORIGINALS))
            index.k_factor = effort.factor
    except FileNotFoundError as error:
        raise NotFound(f"{error.filename} does not exist: copy it again or run `spr build`.") from None
    except OSError as error:
        raise refusal(error, directory) from None
    except (TypeError, ValueError, RuntimeError) as error:
        message = f"{directory} cannot be read ({reason(error)}): copy it again or run `spr build`."
        raise Mismatch(message, reason="GENERATION_CORRUPT") from None
    return index, effort or own_effort(index)


def read_emptied(directory: Path) -> Any:
    """Return a written index without its vectors, trained as it is; Unavailable for one larger than memory.

    Read and not mapped: FAISS ends the process that empties a map.
    """
    index: Any = _in_memory(directory / INDEX)
    if (directory / ORIGINALS).is_file():
        index = faiss.IndexRefine(index, _in_memory(directory / ORIGINALS))
        effort = Effort(**read_json(directory / SEARCH, dict))
        index.k_factor = effort.factor
    index.reset()
    return index


def _in_memory(path: Path) -> Any:
    check_memory(path)
    try:
        return faiss.read_index(str(path))
    except RuntimeError as error:
        raise Mismatch(
            f"{path} cannot be read ({reason(error)}): copy it again.", "GENERATION_CORRUPT"
        ) from None


def check_memory(path: Path) -> None:
    """Refuse (Unavailable) a file that every search goes through but that memory cannot hold."""
    size, free = path.stat().st_size, available_bytes()
    if size > free:
        message = f"{path} takes {size >> 20} MB of memory and {free >> 20} MB are available: "
        raise Unavailable(message + "use a larger machine, more shards, or --index auto.", "NO_MEMORY")


def warm_originals(directory: Path) -> None:
    """Read what candidates are scored with, as far as memory goes: the first searches then need no disk."""
    path = directory / ORIGINALS
    if path.is_file():
        # FAISS maps the same file: its pages are these.
        warm(f"the originals of {directory.name}", [np.memmap(path, np.uint8, "r")])


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
