"""The segment vectors of one part on FAISS.

    index/index.faiss             vectors or codes, row i = segment i of the part
    index/originals.faiss         vectors that score the codes' candidates anew: mapped, where codes are
    index/search.json             how hard a search tries by default
    index/segment_videos.npy      int32 (n,) number of each row's video inside the part
    index/segment_offsets.npy     int32 (n,) segment number inside its video

Rows are ordered by (video, segment). Scores are inner products, higher is better; FAISS's distances, ids and
-1 stay in here. A hit's score does not depend on the part it lies in or on the queries beside it: searches
stay below the size from which FAISS turns to BLAS, whose sums depend on both.
"""

import functools
import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from engine.errors import InvalidInput, Mismatch
from engine.types import Floats, Hits, Ordinals
from workers.index import files, gpu, stopping
from workers.index.effort import Effort
from workers.index.files import INDEX, OFFSETS, ORIGINALS, SEARCH, VIDEOS
from workers.index.living import Found, Living, exhaustive, over_fetched, selects
from workers.index.originals import Originals, large
from workers.index.parameters import inverted_lists, search_parameters
from workers.index.ties import Nearest, to_the_cut
from workers.index.training import Template

__all__ = ["DIRECTORY", "INDEX", "OFFSETS", "ORIGINALS", "SEARCH", "VERSION", "VIDEOS", "IndexPart"]

DIRECTORY = "index"  # in the part
VERSION: str = faiss.__version__

# FAISS 1.15 takes BLAS from queries x dimension >= 128000.
_BELOW_BLAS = 120_000


class IndexPart:
    """Segment vectors of whole videos, searchable from many threads at once."""

    def __init__(
        self,
        index: Any,
        videos: Ordinals,
        segments: Ordinals,
        device: str = "cpu",
        effort: Effort | None = None,
        originals: Originals | None = None,
    ) -> None:
        """Use `build` or `open`."""
        if not index.ntotal == len(videos) == len(segments):
            message = (
                f"the index holds {index.ntotal} vectors, its tables {len(videos)} and {len(segments)}: "
            )
            raise Mismatch(message + "copy the part again.", reason="GENERATION_CORRUPT")
        self.videos = videos
        self.segments = segments
        self.effort = effort or files.own_effort(index)
        self.index = index
        # Making them takes a tenth of a search.
        self._parameters = functools.lru_cache(64)(functools.partial(search_parameters, index))
        self._gpu = gpu.copy(index, device)
        self._originals = originals if self._gpu is None else None

    @classmethod
    def build(
        cls, template: Template, blocks: Iterable[Floats], videos: Ordinals, segments: Ordinals
    ) -> "IndexPart":
        """Fill a copy of `template` with unit vectors, blocks of (m, dim), in (video, segment) order.

        videos, segments: (n,) of the rows of all blocks together.
        """
        index = template.copy()
        for block in blocks:
            index.add(np.ascontiguousarray(block, np.float32))
        return cls(index, np.asarray(videos, np.int32), np.asarray(segments, np.int32))

    def __len__(self) -> int:
        return len(self.videos)

    @property
    def dim(self) -> int:
        """Width of a vector."""
        return int(self.index.d)

    @property
    def device(self) -> str:
        """Return "gpu" or "cpu"."""
        return "gpu" if self._gpu else "cpu"

    @property
    def mapped(self) -> bool:
        """Whether searches read a map of the originals, where there are any."""
        return self._gpu is None and self._originals is None

    @property
    def partitions(self) -> int:
        """Return the number of inverted lists, 0 without."""
        ivf = inverted_lists(self.index)
        return int(ivf.nlist) if ivf is not None else 0

    def save(self, directory: Path) -> None:
        """Write the part's index files, synced, into its DIRECTORY; the caller seals the part."""
        directory.mkdir(parents=True, exist_ok=True)
        files.write(self.index, self.effort, directory)
        files.write_tables(directory, self.videos, self.segments)

    @classmethod
    def open(
        cls, directory: Path, device: str = "auto", template: Template | None = None, again: bool = False
    ) -> "IndexPart":
        """Map the files of a part's DIRECTORY; of originals nothing is read. device: "auto", "cpu" or "gpu".

        template: the trained one of the collection. With it, codes that this FAISS cannot read, and with
        `again` all codes, are made again from their originals, in memory. Raises NotFound for a missing file,
        Mismatch for a damaged one.
        """
        videos, segments = files.read_tables(directory)
        index, effort = files.read(directory, template, again)
        return cls(index, videos, segments, device, effort, large(index, directory / ORIGINALS))

    def search(
        self,
        queries: Floats,
        k: int,
        nprobe: int | None = None,
        factor: int | None = None,
        living: Living | None = None,
    ) -> list[Hits]:
        """Return the best `k` segments of each query, ties in (video, segment) order.

        queries: (nq, dim) unit vectors. nprobe: most lists to visit. factor: candidates a hit to score anew.
        Both are as the part was built if None, and mean nothing to an index without lists or originals.
        living: the rows that may be found, None for all. A query gets fewer than `k` hits where there are
        fewer, never a made-up one. Raises InvalidInput for a wrong argument.
        """
        self._check(queries, k, nprobe)
        effort = Effort(factor or self.effort.factor, nprobe or self.effort.nprobe)
        step = max(1, _BELOW_BLAS // self.dim)
        queries = np.ascontiguousarray(queries, np.float32)
        blocks = [queries[start : start + step] for start in range(0, len(queries), step)]
        return [hits for block in blocks for hits in self._search(block, k, effort, living)]

    def _check(self, queries: Floats, k: int, nprobe: int | None) -> None:
        if queries.ndim != 2 or queries.shape[1] != self.dim:
            message = f"queries have shape {queries.shape}, this index wants (n, {self.dim})."
            raise InvalidInput(message, "TENSOR_SIZE_MISMATCH", "queries.tensor.shape")
        if not np.isfinite(queries).all():
            raise InvalidInput("a query vector has a value that is not finite.", field="queries.tensor.data")
        if k < 1 or (nprobe is not None and nprobe < 1):
            message = f"top_k is {k} and nprobe {nprobe}; both must be at least 1."
            raise InvalidInput(message, field="top_k" if k < 1 else "nprobe")

    def _search(self, queries: Floats, k: int, effort: Effort, living: Living | None) -> list[Hits]:
        if living is None or not living.filtered:
            usual = functools.partial(self._nearest, nprobe=effort.nprobe, living=living)
            return self._best(queries, k, effort.factor, living, usual)
        # The nearest rows of a filter lie as many lists farther out as the filter leaves rows away.
        wider = math.ceil(effort.nprobe * len(self) / max(1, living.count))
        every = functools.partial(self._every, living=living)
        if living.few(self.dim):
            return self._best(queries, k, effort.factor, living, every)
        usual = functools.partial(self._nearest, nprobe=wider, living=living)
        hits = self._best(queries, k, effort.factor, living, usual)
        short = [row for row, one in enumerate(hits) if len(one) < min(k, living.count)]
        if short:
            again = self._best(queries[short], k, effort.factor, living, every)
            for row, one in zip(short, again, strict=True):
                hits[row] = one
        return hits

    def _best(
        self, queries: Floats, k: int, factor: int, living: Living | None, nearest: Nearest
    ) -> list[Hits]:
        total = len(self) if living is None else living.count
        found = to_the_cut(nearest, queries, k, total, factor)
        return [self._hits(scores, rows, k) for scores, rows in found]

    def _nearest(self, queries: Floats, k: int, candidates: int, nprobe: int, living: Living | None) -> Found:
        """Return inner products and living rows, (nq, k) each; row -1 where FAISS found fewer."""
        if living is None:
            found = self._unfiltered(queries, k, candidates, nprobe)
        elif self._gpu is None and self._selects:
            found = self._searched(queries, k, candidates, nprobe, living)
        else:
            found = over_fetched(
                lambda fetch, depth: self._unfiltered(queries, fetch, depth, nprobe), living, k, candidates
            )
        return self._products(queries, *found)

    def _every(self, queries: Floats, k: int, candidates: int, living: Living) -> Found:
        """Return what `_nearest` does, of all living rows, each scored as well as the index can."""
        if self._exhaustive is None:
            return self._nearest(queries, k, len(self), self.partitions, living)
        if self._originals is not None:
            rows = np.broadcast_to(np.flatnonzero(living.rows), (len(queries), living.count))
            return self._products(queries, *self._originals.best(queries, rows, k))
        parameters = search_parameters(self._exhaustive, 0, selector=living.selector)
        return self._products(queries, *self._exhaustive.search(queries, k, params=parameters))

    def _products(self, queries: Floats, distances: Floats, rows: NDArray[np.int64]) -> Found:
        if self.index.metric_type == faiss.METRIC_L2:
            # |q - x|^2 = |q|^2 + 1 - 2 q.x of unit vectors x.
            norms = np.einsum("qd,qd->q", queries, queries)[:, None]
            distances = ((norms + 1 - distances) / 2).astype(np.float32)
        return distances, rows

    def _unfiltered(self, queries: Floats, k: int, candidates: int, nprobe: int) -> Found:
        if self._gpu and self._gpu.takes(k, nprobe):
            return self._gpu.search(queries, k, nprobe)
        return self._searched(queries, k, candidates, nprobe, None)

    def _searched(self, queries: Floats, k: int, depth: int, nprobe: int, living: Living | None) -> Found:
        if self._stopping is not None:
            return self._stopping.search(queries, k, depth, nprobe, living)
        made: Callable[..., Any] = self._parameters
        if living is not None:
            made = functools.partial(search_parameters, self.index, selector=living.selector)
        if self._originals is None:
            scores, rows = self.index.search(queries, k, params=made(nprobe, depth / k))
            return scores, rows
        whole = made(nprobe)  # owns those of the codes
        _, rows = self.index.base_index.search(queries, max(k, depth), params=whole.base_index_params)
        return self._originals.best(queries, rows, k)

    @functools.cached_property
    def _stopping(self) -> stopping.Stopping | None:
        return stopping.of(self.index, self._originals)

    @functools.cached_property
    def _selects(self) -> bool:
        return selects(self.index)

    @functools.cached_property
    def _exhaustive(self) -> Any:
        """The index inside that scores every row, and takes a selector; None where there is none."""
        found = exhaustive(self.index)
        return found if found is not None and selects(found) else None

    def _hits(self, scores: Floats, rows: NDArray[np.int64], k: int) -> Hits:
        scores, rows = scores[rows >= 0], rows[rows >= 0]
        best = np.lexsort((rows, -scores))[:k]
        rows = rows[best]
        return Hits(np.asarray(self.videos[rows]), np.asarray(self.segments[rows]), scores[best])
