"""Search on a GPU, where FAISS has one.

A GPU index is not thread safe: one lock around every search. Copies have been wrong before without a word,
so a copy must agree with its original before it is used.
"""

import logging
import threading
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from engine.errors import InvalidInput, Unavailable
from engine.types import Floats

# FAISS's limit of both on a GPU; beyond it the original on the CPU answers.
MAX_K = 2048
MAX_NPROBE = 2048

_PROBES = 16
_TOLERANCE = 1e-3
_log = logging.getLogger("spr.index")


class GpuCopy:
    """A copy of an index on GPU 0."""

    def __init__(self, index: Any) -> None:
        """Copy `index`, a CPU index; RuntimeError where its kind has no GPU form."""
        self._resources = faiss.StandardGpuResources()
        self._index = faiss.index_cpu_to_gpu(self._resources, 0, index)
        self._lock = threading.Lock()

    def takes(self, k: int, nprobe: int | None) -> bool:
        """Tell whether a search is within the GPU's limits."""
        return k <= MAX_K and (nprobe or 0) <= MAX_NPROBE

    def search(self, queries: Floats, k: int, parameters: Any) -> tuple[Floats, NDArray[np.int64]]:
        """Search as faiss.Index.search does, one call at a time."""
        with self._lock:
            distances, rows = self._index.search(queries, k, params=parameters)
            return distances, rows


def available() -> bool:
    """Tell whether this FAISS is built for GPUs and sees one."""
    return hasattr(faiss, "StandardGpuResources") and faiss.get_num_gpus() > 0


def clusterer(dim: int) -> Any:
    """Return an empty index on all GPUs for k-means to search in, None without a GPU."""
    return faiss.index_cpu_to_all_gpus(faiss.IndexFlatL2(dim)) if available() else None


def copy(index: Any, device: str) -> GpuCopy | None:
    """Return a tested copy of `index` on the GPU, or None to stay on the CPU.

    device: "cpu" never copies; "auto" copies where it can; "gpu" raises Unavailable where it cannot.
    """
    if device not in ("auto", "cpu", "gpu"):
        raise InvalidInput(f"device is {device!r}; it is one of auto, cpu, gpu.")
    if device == "cpu" or index.ntotal == 0 or (device == "auto" and not available()):
        return None
    if not available():
        message = (
            'device is "gpu" but FAISS sees none: install faiss-gpu and a driver, or say device = "auto".'
        )
        raise Unavailable(message, "NO_GPU")
    try:
        copied = GpuCopy(index)
        difference = _difference(index, copied)
        if difference <= _TOLERANCE:
            return copied
        reason = f"its answers differ from the CPU's by {difference:.2g}"
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
    if device == "gpu":
        raise Unavailable(
            f'this index cannot be searched on the GPU ({reason}): say device = "cpu".', "NO_GPU"
        )
    _log.warning("searching on the CPU: %s", reason)
    return None


def _difference(index: Any, copied: GpuCopy) -> float:
    """Return the largest difference of scores between both, over random queries."""
    queries = np.random.default_rng(0).standard_normal((_PROBES, index.d)).astype(np.float32)
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    k = min(10, int(index.ntotal))
    expected, expected_rows = index.search(queries, k)
    found, found_rows = copied.search(queries, k, None)
    if ((expected_rows < 0) != (found_rows < 0)).any():
        return float("inf")
    return float(np.abs(np.where(expected_rows < 0, 0, expected - found)).max())
