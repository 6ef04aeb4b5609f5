"""Fills a part's index from a stream of vectors: originals go to the disk as they come, codes stay in memory.

What is written is what `IndexPart.build` and `save` write, to the last byte.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from engine.types import Floats, Ordinals
from workers.index import files
from workers.index.effort import Effort
from workers.index.part import IndexPart
from workers.index.training import Template

# Where FAISS's file of an index has its number of vectors: after four letters and the dimension.
_ROWS = 8


def fill(
    directory: Path,
    template: Template,
    blocks: Iterable[Floats],
    videos: Ordinals,
    segments: Ordinals,
    effort: Effort | None = None,
) -> None:
    """Write the part that `IndexPart.build` makes of the same, synced, into its DIRECTORY.

    effort: how hard a search tries, None as the template says. Of half-precision originals no more than a
    block is in memory.
    """
    index = template.copy()
    originals = faiss.downcast_index(index.refine_index) if isinstance(index, faiss.IndexRefine) else None
    if not isinstance(originals, faiss.IndexScalarQuantizer):
        part = IndexPart.build(template, blocks, videos, segments)
        part.effort = effort or part.effort
        part.save(directory)
        return
    directory.mkdir(parents=True, exist_ok=True)
    effort = effort or files.own_effort(index)
    codes = faiss.downcast_index(index.base_index)
    with files.written(directory / files.ORIGINALS) as file:
        empty = faiss.serialize_index(originals).tobytes()
        file.write(empty)
        for block in blocks:
            block = np.ascontiguousarray(block, np.float32)
            codes.add(block)
            file.write(originals.sa_encode(block).tobytes())
        _patch(file, _ROWS, codes.ntotal)
        # The file of an empty index ends with the number of bytes that follow.
        _patch(file, len(empty) - 8, codes.ntotal * originals.code_size)
    files.write(codes, effort, directory)
    files.write_tables(directory, np.asarray(videos, np.int32), np.asarray(segments, np.int32))


def _patch(file: Any, place: int, number: int) -> None:
    file.seek(place)
    file.write(number.to_bytes(8, "little"))
