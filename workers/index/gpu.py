"""Search on a GPU, where FAISS has one.

Parts share one set of FAISS's GPU resources, which is not thread safe: one lock around every search. Copies
have been wrong before without a word, so a copy must agree with its original before it is used.
"""

import functools
import logging
import threading
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from engine.errors import InvalidInput, Unavailable
from engine.types import Floats
from workers.index.parameters import search_parameters

# FAISS's limit of both on a GPU; beyond it the original on the CPU answers.
MAX_K = 2048
MAX_NPROBE = 2048

_PROBES = 16
_BLOCK = 65_536
_TOLERANCE = 1e-3
_log = logging.getLogger("spr.index")
_lock = threading.Lock()


class GpuCopy:
    """A copy of an index on GPU 0; of an index with originals, an exact one over them in half precision."""

    def __init__(self, index: Any) -> None:
        """Copy `index`, a CPU index; RuntimeError where its kind has no GPU form."""
        self._original = index
        self.exact = isinstance(index, faiss.IndexRefine)
        copied = _flat if self.exact else _cloned
        self._index = copied(_resources(), index)

    def takes(self, k: int, nprobe: int) -> bool:
        """Tell whether a search is within the GPU's limits."""
        return k <= MAX_K and nprobe <= MAX_NPROBE

    def search(self, queries: Floats, k: int, nprobe: int) -> tuple[Floats, NDArray[np.int64]]:
        """Search as faiss.Index.search does, one call at a time."""
        with _lock:
            parameters = None if self.exact else search_parameters(self._original, nprobe)
            distances, rows = self._index.search(queries, k, params=parameters)
            return distances, rows


@functools.cache
def _resources() -> Any:
    # A gigabyte of scratch memory: once for all parts.
    return faiss.StandardGpuResources()


def _cloned(resources: Any, index: Any) -> Any:
    return faiss.index_cpu_to_gpu(resources, 0, index)


def _flat(resources: Any, index: Any) -> Any:
    """Return the originals as a flat fp16 index: a GPU reads them all faster than it gathers candidates."""
    gpu: Any = faiss  # the CPU build knows no GPU classes
    config = gpu.GpuIndexFlatConfig()
    config.useFloat16 = True
    flat = gpu.GpuIndexFlat(resources, index.d, index.metric_type, config)
    originals = faiss.downcast_index(index.refine_index)
    for start in range(0, originals.ntotal, _BLOCK):
        flat.add(originals.reconstruct_n(start, min(_BLOCK, originals.ntotal - start)))
    return flat


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
    """Return the largest difference of scores between both, over random queries; finding better is none."""
    queries = np.random.default_rng(0).standard_normal((_PROBES, index.d)).astype(np.float32)
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    k = min(10, int(index.ntotal))
    expected, expected_rows = index.search(queries, k)
    found, found_rows = copied.search(queries, k, 0)
    if ((expected_rows < 0) != (found_rows < 0)).any():
        return float("inf")
    worse = np.where(expected_rows < 0, 0, expected - found)
    return float((worse if copied.exact else np.abs(worse)).max())
