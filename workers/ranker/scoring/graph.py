"""Scoring stored contexts on a device, as one step of fixed shapes that CUDA replays as one graph.

The store lies in the device's memory. A batch of windows is padded to the next of few shapes; `step` does
with it all that `evidence.judge` does with exact shapes, without asking the host for anything. On CUDA it is
captured once a shape: two copies in, a launch, one copy out. Where that fails, and on the CPU, it is called.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import Any

import numpy as np
import torch
from cachetools import LRUCache
from torch import Tensor

from workers.ranker.model.windows import batches
from workers.ranker.scoring.evidence import Biases, Evidence, Heads, Jobs, QueryVectors, decide
from workers.ranker.stores.contexts import SUBTITLE, VIDEO, EncodedStore, EncodedStream
from workers.ranker.stores.joined import AnyRows, arrays_of
from workers.ranker.stores.rounding import asked, unpacked

log = logging.getLogger("spr.ranker")

# A padded batch of more clips than this is split by length: 200 MB of gathered vectors of 768.
MOST_CLIPS = 65_536
# Size of the LRU cache of graphs.
MOST_GRAPHS = 32
# The least of windows, of clips a window, and of queries that a shape holds.
_LEAST = (32, 8, 1)


@dataclass(frozen=True, slots=True)
class Rows:
    """One modality of a store on the device: unit (n, width); norms, scales: (n,), None for float16."""

    unit: Tensor
    norms: Tensor
    scales: Tensor | None

    @staticmethod
    def of(stream: EncodedStream, device: torch.device) -> "Rows":
        """Copy a modality to a device."""
        scales = None if stream.scales is None else _copied(stream.scales, device)
        return Rows(_copied(stream.unit, device), _copied(stream.norms, device), scales)


def step(streams: Sequence[Rows], heads: Heads, width: int, jobs: Tensor, vectors: Tensor) -> Tensor:
    """Judge n windows of at most `width` clips; return the columns of `Evidence`, (8, n) float64.

    streams: of video and of subtitles. jobs: (5, n) int64, the columns of `Jobs`; a window without clips is
    padding. vectors: (4, q, h) float32, the columns of `QueryVectors`. Shapes depend on shapes alone.
    """
    rows, lengths, first, last, queries = jobs.unbind()
    places = torch.arange(width, device=jobs.device)
    present = places < lengths[:, None]
    clips = torch.where(present, rows[:, None] + places, 0)
    # Of each modality the vector for cosines and the one for r: (n, h, 2).
    asked = (vectors[part::2][:, queries].permute(1, 2, 0) for part in (0, 1))
    video, words = (_meet(stream, clips, both) for stream, both in zip(streams, asked, strict=True))
    r = (video[1] + words[1]) / 2 * present
    found = decide((video[0], words[0]), r, lengths, (first, last), heads)
    # Float64 holds clip numbers and float32 exactly: one copy to the host instead of eight.
    return torch.stack([column.double() for column in found])


def shape_for(windows: int, width: int, queries: int) -> tuple[int, int, int]:
    """Return the padded shape of a batch: powers of two, so that few graphs are captured.

    >>> shape_for(150, 14, 1), shape_for(2400, 130, 16)
    ((256, 16, 1), (4096, 256, 16))
    """
    given = zip((windows, width, queries), _LEAST, strict=True)
    padded = [max(least, 1 << (number - 1).bit_length()) for number, least in given]
    return padded[0], padded[1], padded[2]


class DeviceScoring:
    """Judges windows of one store on one device; calls from several threads wait for each other."""

    def __init__(self, store: EncodedStore, device: torch.device) -> None:
        """Copy the store to the device."""
        self._device, self._dtype = device, store.dtype
        self._streams = [Rows.of(store.streams[name], device) for name in (VIDEO, SUBTITLE)]
        self._graphs: LRUCache[tuple[int, int, int], Graph] = LRUCache(MOST_GRAPHS)
        self._heads: tuple[Heads, Heads] | None = None
        self._lock = threading.Lock()
        self.captures = device.type == "cuda"
        self._pool: Any = None

    @torch.inference_mode()
    def score(self, queries: QueryVectors, jobs: Jobs, heads: Heads) -> Evidence:
        """Return the evidence of all windows, in order."""
        found = Evidence.empty(len(jobs))
        filled = np.flatnonzero(jobs.lengths > 0)
        if not len(filled):
            return found
        padded = shape_for(len(filled), int(jobs.lengths.max()), len(queries))
        parts = [filled] if padded[0] * padded[1] <= MOST_CLIPS else batches(jobs.lengths)
        with self._lock:
            for rows in parts:
                found.put(rows, self._judged(queries, jobs.take(rows), heads))
        return found

    def _judged(self, queries: QueryVectors, jobs: Jobs, heads: Heads) -> Evidence:
        shape = shape_for(len(jobs), int(jobs.lengths.max()), len(queries))
        columns = np.zeros((5, shape[0]), np.int64)
        columns[:, : len(jobs)] = [getattr(jobs, column.name) for column in fields(jobs)]
        given = asked(queries.columns(), self._dtype)
        vectors = np.zeros((4, shape[2], given[0].shape[1]), np.float32)
        vectors[:, : len(queries)] = given
        graph = self._graph(shape, heads, vectors.shape[2])
        return _evidence(graph(torch.from_numpy(columns), torch.from_numpy(vectors))[:, : len(jobs)])

    def _graph(self, shape: tuple[int, int, int], heads: Heads, hidden: int) -> "Graph":
        """Return the step of a shape, captured where that is possible."""
        if self._heads is None or self._heads[0] is not heads:
            self._heads = heads, _placed(heads, self._device)
            self._graphs.clear()
            # Graphs are replayed one after the other, and answers copied before the next: they can share
            # memory, but not that of graphs of which none is left: torch refuses it.
            self._pool = torch.cuda.graph_pool_handle() if self.captures else None
        if shape not in self._graphs:
            windows, width, queries = shape
            work = partial(step, self._streams, self._heads[1], width)
            jobs = torch.zeros((5, windows), dtype=torch.int64, device=self._device)
            graph = Graph(work, jobs, torch.zeros((4, queries, hidden), device=self._device))
            # One failure is enough: what one shape cannot, the others cannot either.
            self.captures = self.captures and graph.capture(self._pool)
            self._graphs[shape] = graph
        return self._graphs[shape]


class Graph:
    """A step with inputs of its own on the device: replayed once it is captured, called until then."""

    def __init__(self, work: Callable[[Tensor, Tensor], Tensor], jobs: Tensor, vectors: Tensor) -> None:
        self._work, self._jobs, self._vectors = work, jobs, vectors
        self._graph: torch.cuda.CUDAGraph | None = None
        self._out: Tensor | None = None

    def capture(self, pool: Any = None) -> bool:
        """Record the step; False, with a warning, where CUDA does not let it be recorded."""
        try:
            graph, out = self._captured(pool)
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[0]
            log.warning("ranking is not one CUDA graph: its step is called", extra={"reason": reason})
            return False
        self._graph, self._out = graph, out
        return True

    def _captured(self, pool: Any) -> tuple[torch.cuda.CUDAGraph, Tensor]:
        with torch.cuda.device_of(self._jobs):  # type: ignore[no-untyped-call]
            stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream):
                # Libraries allocate at their first calls, which a recording forbids.
                for _ in range(3):
                    self._work(self._jobs, self._vectors)
            torch.cuda.current_stream().wait_stream(stream)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, pool, capture_error_mode="thread_local"):
                out = self._work(self._jobs, self._vectors)
        return graph, out

    def __call__(self, jobs: Tensor, vectors: Tensor) -> Tensor:
        """Return the step's answer on the host."""
        self._jobs.copy_(jobs)
        self._vectors.copy_(vectors)
        if self._graph is None or self._out is None:
            return self._work(self._jobs, self._vectors).cpu()
        self._graph.replay()
        return self._out.cpu()


def _meet(stream: Rows, clips: Tensor, vectors: Tensor) -> tuple[Tensor, Tensor]:
    """Return cosines and parts of r of clips, (n, width) each; vectors: (n, h, 2)."""
    rows = stream.unit[clips]
    rows = torch.cat(unpacked(rows), -1) if rows.dtype == torch.int16 else rows
    products = rows.float() @ vectors
    if stream.scales is not None:
        products = products * stream.scales[clips].float()[..., None]
    return products[..., 0], products[..., 1] * stream.norms[clips].float()


def _copied(rows: AnyRows, device: torch.device) -> Tensor:
    """Return the rows of all parts, one after the other, as one tensor on the device."""
    dtype = torch.tensor(np.zeros(0, rows.dtype)).dtype
    whole, begin = torch.empty(rows.shape, dtype=dtype, device=device), 0
    for array in arrays_of(rows):
        whole[begin : begin + len(array)] = torch.tensor(array)
        begin += len(array)
    return whole


def _placed(heads: Heads, device: torch.device) -> Heads:
    """Return heads whose arrays lie on the device: copying them would stop a recording."""

    def place(array: Any) -> Any:
        return torch.as_tensor(array, device=device)

    biases = heads.biases and Biases(*(place(getattr(heads.biases, f.name)) for f in fields(heads.biases)))
    return Heads(place(heads.start), place(heads.end), heads.min_span, heads.max_span, biases)


def _evidence(columns: Tensor) -> Evidence:
    nothing = Evidence.empty(0)
    parts = zip(columns.numpy(), fields(nothing), strict=True)
    return Evidence(*(values.astype(getattr(nothing, column.name).dtype) for values, column in parts))
