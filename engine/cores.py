"""How many cores a process may use: what it was pinned to, and the share that its container has."""

import math
import os
from pathlib import Path

_LIMIT = Path("/sys/fs/cgroup/cpu.max")


def cores(limit: Path = _LIMIT) -> int:
    """Return how many cores this process may use. limit: where a container's share is told (cgroup v2)."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = map(int, limit.read_text("ascii").split())
    except (OSError, ValueError):  # No file, or "max": no limit.
        return allowed
    # Rounded up: of a core's half a thread uses what it gets.
    return max(1, min(allowed, math.ceil(quota / max(1, period))))
