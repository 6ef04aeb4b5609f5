"""The resident set: how much memory this process holds."""

import resource
from pathlib import Path


def resident_bytes() -> int:
    """Return the resident set in bytes; where there is no /proc, the largest it has been."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return pages * resource.getpagesize()
