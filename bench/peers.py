"""Other nearest-neighbour libraries behind one interface; each is an import that may fail."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from bench.indexes import DEPTH
from engine.cores import cores
from engine.types import Floats

_CORES = cores()
_BLOCK = 16_384


class Peer(Protocol):
    """An index of rows 0.. that is searched one query at a time, at an effort."""

    def search(self, query: Floats, effort: int) -> NDArray[np.int64]:
        """Return the nearest DEPTH rows of (dim,) a unit vector."""
        ...


@dataclass(frozen=True, slots=True)
class Library:
    """A library. efforts: to try, the least first. build: writes a folder; open: reads it, any effort."""

    name: str
    label: str
    efforts: Sequence[int]
    build: Callable[[Floats, Path], None]
    open: Callable[[Path], Peer]


class Usearch:
    """HNSW over half floats."""

    def __init__(self, folder: Path) -> None:
        from usearch.index import Index

        self._index: Any = Index.restore(str(folder / "index"))

    @staticmethod
    def build(vectors: Floats, folder: Path) -> None:
        """Add all rows, on all cores."""
        from usearch.index import Index

        index = Index(ndim=vectors.shape[1], metric="ip", dtype="f16", connectivity=16, expansion_add=128)
        for start in range(0, len(vectors), _BLOCK):
            block = np.asarray(vectors[start : start + _BLOCK])
            index.add(np.arange(start, start + len(block)), block, threads=_CORES)
        index.save(str(folder / "index"))

    def search(self, query: Floats, effort: int) -> NDArray[np.int64]:
        """effort: expansion."""
        self._index.expansion_search = effort
        return np.asarray(self._index.search(query, DEPTH, threads=1).keys, np.int64)


class Hnswlib:
    """HNSW over floats."""

    def __init__(self, folder: Path) -> None:
        import hnswlib

        dim = int((folder / "dim").read_text(encoding="ascii"))
        self._index: Any = hnswlib.Index("ip", dim)
        self._index.load_index(str(folder / "index"))
        self._index.set_num_threads(1)

    @staticmethod
    def build(vectors: Floats, folder: Path) -> None:
        """Add all rows, on all cores."""
        import hnswlib

        index = hnswlib.Index("ip", vectors.shape[1])
        index.init_index(len(vectors), M=16, ef_construction=128)
        for start in range(0, len(vectors), _BLOCK):
            index.add_items(np.asarray(vectors[start : start + _BLOCK]), num_threads=_CORES)
        index.save_index(str(folder / "index"))
        (folder / "dim").write_text(str(vectors.shape[1]), encoding="ascii")

    def search(self, query: Floats, effort: int) -> NDArray[np.int64]:
        """effort: ef."""
        self._index.set_ef(max(effort, DEPTH))
        return np.asarray(self._index.knn_query(query, DEPTH)[0][0], np.int64)


class Lance:
    """Inverted lists of RaBitQ codes over rows on disk, refined by them."""

    def __init__(self, folder: Path) -> None:
        import lancedb

        self._table: Any = lancedb.connect(str(folder)).open_table("rows")

    @staticmethod
    def build(vectors: Floats, folder: Path) -> None:
        """Write all rows, then the index, on all cores."""
        import lancedb
        import pyarrow as pa
        from lancedb.index import IvfRq

        total, dim = vectors.shape
        kind = pa.schema([("id", pa.int64()), ("vector", pa.list_(pa.float32(), dim))])

        def batches() -> Any:
            for start in range(0, total, _BLOCK):
                block = np.asarray(vectors[start : start + _BLOCK])
                rows = pa.FixedSizeListArray.from_arrays(pa.array(block.reshape(-1)), dim)
                yield pa.record_batch([pa.array(range(start, start + len(block))), rows], schema=kind)

        table = lancedb.connect(str(folder)).create_table("rows", batches(), schema=kind)
        lists = max(1, 2 ** round(np.log2(2 * np.sqrt(total))) if total >= 10_000 else 1)
        table.create_index("vector", config=IvfRq(distance_type="dot", num_partitions=lists))

    def search(self, query: Floats, effort: int) -> NDArray[np.int64]:
        """effort: lists to visit, four candidates a hit."""
        asked = self._table.search(query).distance_type("dot").limit(DEPTH).nprobes(effort).refine_factor(4)
        return np.asarray(asked.select(["id", "_distance"]).to_arrow()["id"], np.int64)


LIBRARIES = (
    Library("usearch", "usearch: HNSW, fp16", (200, 400, 600, 800, 1200, 1600), Usearch.build, Usearch),
    Library("hnswlib", "hnswlib: HNSW, float32", (200, 400, 600, 800, 1200, 1600), Hnswlib.build, Hnswlib),
    Library("lancedb", "LanceDB: IVF_RQ, refined", (16, 32, 64, 128, 256, 512), Lance.build, Lance),
)
