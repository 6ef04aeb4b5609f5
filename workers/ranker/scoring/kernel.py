"""Ranking against stored contexts, fused: from rows of the store to evidence in one pass over the memory.

Python's side of `compiled`: threads share the proposals. The readable form is `evidence.judge`.
"""

import itertools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import llvmlite.binding
import numpy as np
from numpy.typing import NDArray

from engine.cores import cores
from engine.types import Floats
from workers.ranker.scoring.compiled import score_windows
from workers.ranker.scoring.evidence import Evidence, Heads, Jobs, QueryVectors
from workers.ranker.stores.contexts import SUBTITLE, VIDEO, EncodedStore
from workers.ranker.stores.joined import bases_of, owners
from workers.ranker.stores.rounding import asked

# Fewer clips than this are not worth a turn of their own, and a thread takes about so many turns.
FEW_CLIPS = 512
TURNS = 4


def supported() -> bool:
    """Tell whether this CPU reads half-precision numbers; without it the readable form is used."""
    if llvmlite.binding.get_default_triple().startswith("x86_64"):
        return bool(llvmlite.binding.get_host_cpu_features().get("f16c", False))
    return True


@dataclass(slots=True)
class Kernel:
    """The compiled kernel over one store; several callers may score at once. threads: 0 for one a core.

    The windows of a store of several parts are scored part by part, each from the part's own arrays.
    """

    store: EncodedStore
    threads: int = 0
    _pool: ThreadPoolExecutor = field(init=False)
    _parts: list[tuple[NDArray[Any], ...]] = field(init=False)
    _bases: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        self.threads = self.threads or cores()
        self._pool = ThreadPoolExecutor(max(1, self.threads - 1), thread_name_prefix="kernel")
        video, subtitle = (self.store.streams[name].parts() for name in (VIDEO, SUBTITLE))
        self._parts = [(*_bits(*one), *_bits(*other)) for one, other in zip(video, subtitle, strict=True)]
        self._bases = bases_of([part[0] for part in self._parts])

    def score(self, queries: QueryVectors, jobs: Jobs, heads: Heads) -> Evidence:
        """Return the evidence of every job, in order. The first call of a process compiles, for seconds."""
        parts = owners(self._bases, jobs.rows)
        order = np.argsort(parts, kind="stable") if len(self._parts) > 1 else slice(None)
        parts, jobs = parts[order], jobs.take(order)
        found = Evidence.empty(len(jobs))
        unit_video, unit_words, video, words = asked(queries.columns(), self.store.dtype)
        vectors = (unit_video, video, unit_words, words)
        filters = (heads.start, heads.end, *_tables(heads), heads.min_span, heads.max_span)
        columns = (jobs.rows - self._bases[parts], jobs.lengths, jobs.first, jobs.last, jobs.queries)
        turns = iter(shares := self._shares(jobs.lengths, parts))

        def work() -> None:
            for share in turns:  # shared: every one goes to whoever is free first
                out = found.cut(share)
                score_windows(
                    *(*self._parts[parts[share.start]], *vectors, *filters),
                    *(column[share] for column in columns),
                    *(out.start, out.end, out.log_start, out.log_end),
                    *(out.relevance, out.span_relevance, out.contrast, out.best),
                )

        helpers = [self._pool.submit(work) for _ in range(min(self.threads, len(shares)) - 1)]
        work()
        for helper in helpers:
            # A helper that never started can be cancelled: all shares are taken.
            if not helper.cancel():
                helper.result()
        return found.moved(order)

    def _shares(self, lengths: NDArray[np.int64], parts: NDArray[np.int64]) -> list[slice]:
        """Split jobs into ranges of about as many clips, each of one part; parts: (n,) ascending."""
        clips = np.cumsum(lengths)
        total = int(clips[-1]) if len(clips) else 0
        count = max(1, min(TURNS * self.threads, total // FEW_CLIPS)) if self.threads > 1 else 1
        borders = np.searchsorted(clips, np.arange(1, count) * total / count, side="left") + 1
        between = np.flatnonzero(np.diff(parts)) + 1
        edges = np.unique([0, *np.minimum(borders, len(lengths)), *between, len(lengths)]).tolist()
        return [slice(begin, end) for begin, end in itertools.pairwise(edges)]


def _bits(*arrays: NDArray[Any] | None) -> list[NDArray[Any]]:
    """Return rows, norms and scales as the kernel takes them: half-precision numbers as their bits."""
    given = (np.zeros(0, np.float16) if array is None else array for array in arrays)
    return [array.view(np.uint16) if array.dtype == np.float16 else array for array in given]


def _tables(heads: Heads) -> tuple[Floats, Floats, Floats]:
    if heads.biases is None:
        return (np.zeros(1, np.float32),) * 3
    return heads.biases.start, heads.biases.end, heads.biases.clip
