"""A list of two million paths: when its first video begins, and what the driver takes."""

import os
import shutil
import time
from pathlib import Path
from typing import Any

from bench import memory
from engine.cores import cores
from recipes.chaos.world import clip
from recipes.spread.watch import begin, looking, seconds
from recipes.spread.work import Work, stored
from trainer.spread.crew import OBJECTS

FOLDERS = 1000


def listing(work: Work, files: int) -> dict[str, Any]:
    """Return the seconds until the first video is stored, and the driver's memory at its most, in MB.

    Stored is later than begun: what is asked of the second is asked of the first. first_s: on a cluster that
    runs; alone_s: where the command starts Ray itself.
    """
    from ray.cluster_utils import Cluster

    many = work.out / "many"
    clip(work.out / "short.mp4", 2, seed=0)
    _fill(many, work.out / "short.mp4", files)
    alone = _first(work, "ray")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    node = {"num_cpus": cores(), "include_dashboard": False, "object_store_memory": OBJECTS}
    cluster = Cluster(initialize_head=True, head_node_args=node)
    try:
        found = _first(work, f"ray:{cluster.address}")
    finally:
        cluster.shutdown()
    shutil.rmtree(many)
    most = max(alone["driver_mb"], found["driver_mb"])
    return {"files": files, **found, "alone_s": alone["first_s"], "driver_mb": most}


def _first(work: Work, engine: str) -> dict[str, float]:
    """Begin an ingest of the long list, and end it when a video is stored."""
    into, most = work.out / "of-many", 0

    def look(_: int) -> None:
        nonlocal most
        most = max(most, memory.share(str(process.pid)))

    command = work.command(into, engine, encoder="small", videos=work.out / "many")
    began = time.monotonic()
    process = begin(command, work.log)
    with looking(look):
        while not stored(into):
            if process.poll() is not None:
                raise SystemExit(f"{' '.join(command)} ended with {process.returncode}; see {work.log}")
            time.sleep(0.02)
        found = {"first_s": round(time.monotonic() - began, 2), "driver_cpu_s": seconds(str(process.pid))}
    process.terminate()
    process.wait(60)
    return {**found, "driver_mb": round(most / 1e6)}


def _fill(folder: Path, video: Path, files: int) -> None:
    """Make so many names of a video's copies: a file system allows some ten thousand names of one."""
    shutil.rmtree(folder, ignore_errors=True)
    each = -(-files // FOLDERS)
    for number in range(0, files, each):
        below = folder / f"{number // each:04}"
        below.mkdir(parents=True)
        first = shutil.copyfile(video, below / f"{number:07}.mp4")
        for name in range(number + 1, min(number + each, files)):
            os.link(first, below / f"{name:07}.mp4")
