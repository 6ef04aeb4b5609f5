"""Memory of this process and all that it started, at its most."""

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_EVERY = 0.1  # seconds between two looks
_SHARE = re.compile(r"^Pss:\s+(\d+) kB", re.MULTILINE)


@contextmanager
def peak() -> Iterator[Callable[[], int]]:
    """Watch the time of a `with`; what it yields returns the most bytes so far, shared pages counted once."""
    most = 0
    ended = threading.Event()

    def look() -> None:
        nonlocal most
        while True:
            most = max(most, sum(map(share, tree("self"))))
            if ended.wait(_EVERY):
                return

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield lambda: most
    finally:
        ended.set()
        watcher.join()


def tree(process: str) -> Iterator[str]:
    """Yield a process and all below it; one that ends meanwhile has no children."""
    yield process
    for children in Path("/proc", process, "task").glob("*/children"):
        try:
            found = children.read_text(encoding="ascii").split()
        except OSError:
            continue
        for child in found:
            yield from tree(child)


def share(process: str) -> int:
    """Return the bytes of a process, those that it shares divided among all that have them; 0 for none."""
    try:
        found = _SHARE.search(Path("/proc", process, "smaps_rollup").read_text(encoding="ascii"))
    except OSError:
        return 0
    return 1024 * int(found[1]) if found else 0
