"""Arrays on disk as .npy files, written block by block and synced."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from engine.files import sync


def write_header(file: BinaryIO, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Write the header of an .npy file; written again for another number of rows, it has the same size."""
    # Version 1.0 headers are padded to 64 bytes with room for a longer shape.
    descr = np.lib.format.dtype_to_descr(dtype)
    header = {"descr": descr, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)


def write_rows(path: Path, count: int, blocks: Iterable[NDArray[Any]], like: NDArray[Any]) -> None:
    """Write `count` rows, given in blocks. like: an array of their width and dtype."""
    # Appended to a plain file: a memory map of length 0 is not allowed, an empty .npy file is.
    with path.open("wb") as file:
        write_header(file, (count, *like.shape[1:]), like.dtype)
        for block in blocks:
            file.write(np.ascontiguousarray(block).tobytes())
    sync(path)


def save(path: Path, array: NDArray[Any]) -> None:
    """Write an array."""
    np.save(path, array)
    sync(path)
