"""How many cores a process may use (what it was pinned to, its container's share), and what they can."""

import math
import os
from pathlib import Path

_LIMIT = Path("/sys/fs/cgroup/cpu.max")
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


def features(listed: Path = Path("/proc/cpuinfo")) -> set[str] | None:
    """Return what the processor can ("avx2", "f16c"), None where the system does not list it."""
    try:
        text = listed.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    lines = [line.partition(":")[2] for line in text.splitlines() if line.startswith(("flags", "Features"))]
    return set(lines[0].split()) if lines else None
