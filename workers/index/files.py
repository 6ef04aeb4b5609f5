"""A part's index files: written safely, opened as memory maps.

index.faiss        the FAISS index; of an index that scores candidates anew, the coarse half
originals.faiss    its fine half, row i = segment i (fp16 as a rule): stays on disk, mapped
search.json        {"factor", "nprobe"}: how hard a search tries unless it says otherwise
"""

import contextlib
import dataclasses
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import faiss
import numpy as np

from engine.errors import Mismatch, NotFound, Unavailable
from engine.files import read_json, refusal, sync, write_json
from engine.types import Ordinals
from workers.index.effort import Effort
from workers.index.parameters import inverted_lists
from workers.index.training import VERSION, Template, reason
from workers.warming import available_bytes, warm

INDEX = "index.faiss"
ORIGINALS = "originals.faiss"
SEARCH = "search.json"
VIDEOS = "segment_videos.npy"
OFFSETS = "segment_offsets.npy"
_BLOCK = 65_536
# Lists of RaBitQ codes: FAISS copies them out of a map, which then holds them twice.
_COPIED = ("Iwrn",)

log = logging.getLogger("spr.index")


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


_python: Any = faiss  # its stubs lack what its Python part adds


def _write(index: Any, path: Path) -> None:
    # FAISS's own writer does not notice what a disk refuses when the file is closed.
    with written(path) as file:
        faiss.write_index(index, _python.PyCallbackIOWriter(file.write))


@contextlib.contextmanager
def written(path: Path) -> Iterator[BinaryIO]:
    """Open a file to be written and synced; an OSError names it."""
    try:
        with path.open("wb") as file:
            yield file
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None
    sync(path)


def write_effort(effort: Effort, directory: Path) -> None:
    """Set how hard searches of a written shard try."""
    write_json(directory / SEARCH, dataclasses.asdict(effort))


def write_tables(directory: Path, videos: Ordinals, segments: Ordinals) -> None:
    """Write (n,) video and segment of each row, synced."""
    for name, table in ((VIDEOS, videos), (OFFSETS, segments)):
        np.save(directory / name, table)
        sync(directory / name)


def read_tables(directory: Path) -> tuple[Ordinals, Ordinals]:
    """Return (n,) video and segment of each row; NotFound or Mismatch for a missing or a damaged file."""
    try:
        # Read and not mapped: they are small, and cannot change under a search.
        return np.load(directory / VIDEOS), np.load(directory / OFFSETS)
    except FileNotFoundError as error:
        raise NotFound(f"{error.filename} does not exist: copy it again or run `spr build`.") from None
    except ValueError as error:
        message = f"{directory} cannot be read ({reason(error)}): copy it again or run `spr build`."
        raise Mismatch(message, reason="GENERATION_CORRUPT") from None


def code_of(path: Path) -> str:
    """Return the four letters that a FAISS file begins with: they name the kind of index and its format."""
    with path.open("rb") as file:
        return file.read(4).decode("ascii", "replace")


def read(directory: Path, template: Template | None = None, again: bool = False) -> tuple[Any, Effort]:
    """Map an index and return it with its effort.

    template: what codes that cannot be read, or all with `again`, are made again from, of their originals.
    Raises NotFound for a missing file, Mismatch for a damaged one.
    """
    path = directory / SEARCH
    try:
        effort = Effort(**read_json(path, dict)) if path.is_file() else None
        if effort is None or not effort.factor:
            index = _read(directory / INDEX)
            return index, effort or own_effort(index)
        originals = _read(directory / ORIGINALS)
        index = _refine(_codes(directory / INDEX, originals, template, again), originals)
        index.k_factor = effort.factor
        return index, effort
    except FileNotFoundError as error:
        raise NotFound(f"{error.filename} does not exist: copy it again or run `spr build`.") from None
    except OSError as error:
        raise refusal(error, directory) from None
    except (TypeError, ValueError, RuntimeError) as error:
        message = f"{directory} cannot be read ({reason(error)}): copy it again or run `spr build`."
        raise Mismatch(message, reason="GENERATION_CORRUPT") from None


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
    size, free = path.stat().st_size, available_bytes()
    if size > free:
        message = f"{path} takes {size >> 20} MB of memory and {free >> 20} MB are available: "
        raise Unavailable(message + "use a larger machine.", "NO_MEMORY")
    try:
        return faiss.read_index(str(path))
    except RuntimeError as error:
        message = f"{path} cannot be read ({reason(error)}): copy it again."
        raise Mismatch(message, "GENERATION_CORRUPT") from None


def _codes(path: Path, originals: Any, template: Template | None, again: bool) -> Any:
    """Read codes, or make them again from their originals, which takes seconds and nothing of the disk."""
    why = "it is damaged"
    if not again or template is None:
        try:
            return _read(path)
        except RuntimeError as error:
            if template is None:
                raise
            why = f"FAISS {VERSION} cannot read it ({reason(error)})"
    log.warning("%s is made again in memory from its originals: %s", path, why)
    base = template.copy()
    index = faiss.downcast_index(base.base_index if isinstance(base, faiss.IndexRefine) else base)
    for start in range(0, originals.ntotal, _BLOCK):
        index.add(originals.reconstruct_n(start, min(_BLOCK, originals.ntotal - start)))
    _python.add_to_referenced_objects(index, base)  # which owns it
    return index


def warm_originals(directory: Path) -> None:
    """Read what candidates are scored with, as far as memory goes: the first searches then need no disk."""
    path = directory / ORIGINALS
    if path.is_file():
        # FAISS maps the same file: its pages are these.
        warm(f"the originals of {directory.parent.name}", [np.memmap(path, np.uint8, "r")])


def _read(path: Path) -> Any:
    if not path.is_file():
        raise FileNotFoundError(2, "missing", str(path))
    if code_of(path) not in _COPIED:
        try:
            return faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
        except RuntimeError:
            log.debug("%s is of a kind that cannot be mapped", path)
    return faiss.read_index(str(path))


def _refine(coarse: Any, originals: Any) -> Any:
    if (coarse.ntotal, coarse.d) != (originals.ntotal, originals.d):
        message = f"{ORIGINALS} holds {originals.ntotal} vectors of width {originals.d}, {INDEX} "
        raise ValueError(message + f"{coarse.ntotal} of {coarse.d}")
    return faiss.IndexRefine(coarse, originals)
