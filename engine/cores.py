"""How many cores a process may use (what it was pinned to, its container's share), and what they can."""

import math
import os
from pathlib import Path

_LIMIT = Path("/sys/fs/cgroup/cpu.max")
CPUS = Path("/proc/cpuinfo")
_share: int | None = None


def use_at_most(count: int | None) -> None:
    """Count no more than so many cores in this process from now on: others have the rest. None: all."""
    global _share
    _share = count


def cores(limit: Path = _LIMIT) -> int:
    """Return how many cores this process may use. limit: where a container's share is told (cgroup v2)."""
    allowed = _allowed(limit)
    return allowed if _share is None else max(1, min(allowed, _share))


def _allowed(limit: Path) -> int:
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = map(int, limit.read_text("ascii").split())
    except (OSError, ValueError):  # No file, or "max": no limit.
        return allowed
    # Rounded up: of a core's half a thread uses what it gets.
    return max(1, min(allowed, math.ceil(quota / max(1, period))))


def features(listed: Path = CPUS) -> set[str] | None:
    """Return what the processor can ("avx2", "f16c"), None where the system does not list it."""
    try:
        with listed.open(encoding="utf-8", errors="replace") as lines:
            flags = next((line for line in lines if line.startswith(("flags", "Features"))), None)
    except OSError:
        return None
    return None if flags is None else set(flags.partition(":")[2].split())


def choose_kernels(listed: Path = CPUS) -> None:
    """Choose OpenBLAS's kernels, before a library loads it, where it would choose slow ones.

    Its products of float32 matrices for processors with bfloat16 (Sapphire Rapids) ran at a sixth of the
    speed of those for AVX-512 alone, in FAISS 1.15. OPENBLAS_CORETYPE, where it is set, is heeded.
    """
    if "avx512_bf16" in (features(listed) or ()):
        os.environ.setdefault("OPENBLAS_CORETYPE", "SkylakeX")
