"""Whether memory and open files stay flat over many searches: sampled, and fitted by least squares."""

import os
import re
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recipes.chaos import clients, service
from recipes.chaos.topology import Setup
from recipes.chaos.world import World

CALLERS = 16
SAMPLES = 200
WARM = 0.2  # of the searches come before the fit: caches and pools fill
UNIT = 10_000  # searches
LIMIT = 1.0  # MB, or files, more in UNIT searches


@dataclass(frozen=True, slots=True)
class Trend:
    """Of one process. first, last: MB at the begin and end of the fit; slope: MB in 10,000 searches.

    files: open at the end; files_slope: more of them in 10,000 searches.
    """

    process: str
    first: float
    last: float
    slope: float
    files: int
    files_slope: float


def measure(folder: Path, world: World, searches: int, coordinators: int) -> dict[str, Any]:
    """Search so often, and return the trends, the samples, and what is not flat, a sentence each."""
    shutil.rmtree(folder, ignore_errors=True)
    collection = shutil.copytree(world.collection, folder / "collection")
    samples: list[tuple[int, dict[str, tuple[float, int]]]] = []
    failed = 0
    with service.running(folder, collection, Setup(coordinators=coordinators)) as serving:
        pids = {one.label: one.pid for one in serving.processes()} | {"supervisor": serving.supervisor}
        began = time.monotonic()
        with clients.searching(serving.addresses, world.texts, CALLERS, 0.0) as load:
            for due in np.linspace(0, searches, SAMPLES + 1)[1:]:
                while load.count < due:
                    time.sleep(0.05)
                    failed += sum(bool(one.error or one.partial) for one in load.taken())
                samples.append((load.count, {name: _sample(pid) for name, pid in pids.items()}))
        seconds = time.monotonic() - began
        missing = sorted(set(pids.values()) - {one.pid for one in serving.processes()} - {serving.supervisor})
    trends = [trend(name, samples) for name in pids]
    misses = [
        f"{one.process} grows by {one.slope:.2f} MB and {one.files_slope:.2f} files in {UNIT} searches"
        for one in trends
        if one.slope > LIMIT or one.files_slope > LIMIT
    ]
    misses += [f"process {pid} was replaced" for pid in missing]
    misses += [f"{failed} searches failed or were partial"] if failed else []
    series = [[count, {name: round(of[name][0], 1) for name in pids}] for count, of in samples]
    about = {"searches": load.count, "rate": round(load.count / seconds, 1), "megabytes": series}
    return {**about, "processes": [asdict(one) for one in trends], "misses": misses}


def show(found: dict[str, Any]) -> None:
    """Print a line for each process."""
    print(f"{found['searches']} searches, {found['rate']} a second")
    for one in found["processes"]:
        memory = f"{one['first']:7.1f} -> {one['last']:7.1f} MB, {one['slope']:+.3f} MB"
        print(f"{one['process']:32} {memory}, {one['files_slope']:+.3f} files in {UNIT} searches")
    for miss in found["misses"]:
        print(miss)


def _sample(pid: int) -> tuple[float, int]:
    """Return a process's resident MB and how many files it has open."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    return (int(found[1]) / 1024 if found else 0.0), len(os.listdir(f"/proc/{pid}/fd"))


def trend(name: str, samples: Sequence[tuple[int, dict[str, tuple[float, int]]]]) -> Trend:
    """Return the trend of one process. samples: (searches so far, (MB, files) by process)."""
    fitted = samples[int(WARM * len(samples)) :]
    counts = [count / UNIT for count, _ in fitted]
    memory, files = (np.array([of[name][i] for _, of in fitted], np.float64) for i in (0, 1))
    slopes = [float(np.polyfit(counts, values, 1)[0]) for values in (memory, files)]
    first, last = (round(float(value), 1) for value in (memory[0], memory[-1]))
    return Trend(name, first, last, round(slopes[0], 3), int(files[-1]), round(slopes[1], 3))
