"""Kills an actor, and a raylet, under an ingest on two nodes; counts what is lost and what is done again."""

import os
import signal
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from recipes.spread.watch import begin, kinds, looking, parent, told, watched
from recipes.spread.work import Work, differences, stored

KILLED = ("actor", "raylet")


class Begun:
    """Which videos each actor's processes have open, looked at again and again."""

    def __init__(self, raylets: dict[str, int]) -> None:
        """raylets: pid of a node's, by the node's name."""
        self._raylets = raylets
        self.videos = defaultdict[str, set[str]](set)
        self.actors = dict[str, int]()

    def look(self, _: int) -> None:
        """Take note of what is open now."""
        for node, raylet in self._raylets.items():
            for pid, kind in kinds(raylet):
                if kind != "worker":
                    continue
                if "IngestWorker" in told(pid, "cmdline"):
                    self.actors[node] = int(pid)
                self.videos[node].update(_open(pid))


def alone(work: Work) -> dict[str, Any]:
    """Ingest without Ray what is killed under; return what that used."""
    return watched(work.command(work.out / "whole", "local", encoder="small"), work.log).row()


def killing(work: Work, killed: str) -> dict[str, Any]:
    """Kill the first node's actor or raylet when a third of the videos is stored; return how it ended.

    again: videos that the dead had begun and not stored. twice: videos that are stored more than once.
    """
    from ray.cluster_utils import Cluster

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    into = work.out / f"killed-{killed}"
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    try:
        nodes = [cluster.add_node(num_cpus=1, object_store_memory=80 << 20) for _ in range(2)]
        cluster.wait_for_nodes()
        begun = Begun({str(number): _raylet(node) for number, node in enumerate(nodes)})
        command = work.command(into, f"ray:{cluster.address}", encoder="small")
        process = begin(command, work.log)
        with looking(begun.look):
            while len(stored(into)) < work.count // 3 or not begun.videos["0"]:
                if process.poll() is not None:
                    raise SystemExit(f"{' '.join(command)} ended with {process.returncode}; see {work.log}")
                time.sleep(0.01)
            again = _kill(begun, into, killed, nodes[0])
            process.wait()
    finally:
        cluster.shutdown()
    twice = sum(lines > 1 for lines in stored(into).values())
    lost = differences(into, work.out / "whole")
    return {"code": process.returncode, "again": again, "twice": twice, "differences": lost}


def _kill(begun: Begun, into: Path, killed: str, node: Any) -> list[str]:
    """Kill, wait until the actor is gone, and return the videos that it had begun and not stored."""
    actor = begun.actors["0"]
    os.kill(actor if killed == "actor" else _raylet(node), signal.SIGKILL)
    if killed == "raylet":
        # A child of this process: while it is not waited for, Ray's workers take it for alive.
        node.all_processes["raylet"][0].process.wait()
    while parent(str(actor)):
        time.sleep(0.005)
    return sorted(begun.videos["0"] - set(stored(into)))


def _raylet(node: Any) -> int:
    (one,) = node.all_processes["raylet"]
    return int(one.process.pid)


def _open(pid: str) -> set[str]:
    found = set[str]()
    try:
        for link in os.scandir(f"/proc/{pid}/fd"):
            name = Path(os.readlink(link.path))
            if name.suffix == ".mp4":
                found.add(name.stem)
    except OSError:
        pass  # one that is gone
    return found
