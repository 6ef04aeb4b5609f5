"""How the processes of a topology are started."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine import control_pipe
from engine.config import Topology

MODULES = {"coordinator": "engine", "index": "workers.index", "ranker": "workers.ranker"}
# Of gRPC's two ways to wait for sockets the one without a thread pool of its own: a call wakes fewer threads.
# It is read when gRPC is loaded, so it must stand in the environment. One that knows no choice only says so.
POLLING = {"GRPC_EXPERIMENTS": "-event_engine_client,-event_engine_listener"}


@dataclass(frozen=True, slots=True)
class Program:
    """How to start one process. environment is added to ours.

    topology: what it reads from stdin first, if its command says so. target: where the coordinator reaches
    it.
    """

    role: str
    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    topology: Topology | None = None
    target: str = ""

    @property
    def label(self) -> str:
        """Return what tells it from all others: replicas by where they listen."""
        if self.role == "index":
            return f"{self.name}@{self.command[self.command.index('--listen') + 1]}"
        return self.name


def program(topology: Topology, role: str, part: Any, supervised: bool = True) -> Program:
    """Return how to start one part of a topology: with the topology on stdin, or alone from its file."""
    source = control_pipe.STDIN if supervised else str(topology.path.resolve())
    which = ("--config", source, "--name", part.name, "--listen", part.listen)
    command = (sys.executable, "-m", MODULES[role], *which)
    threads = getattr(part, "threads", 1)
    environment = {name: value for name, value in POLLING.items() if name not in os.environ}
    if threads:
        environment["OMP_NUM_THREADS"] = str(threads)
    return Program(role, part.name, command, environment, topology, getattr(part, "target", ""))


def programs(topology: Topology) -> list[Program]:
    """Return all processes of a topology, the slow starters first."""
    parts: list[tuple[str, Any]] = [("ranker", part) for part in topology.ranker]
    parts += [("index", part) for part in topology.index]
    parts += [("coordinator", topology.coordinator)]
    return [program(topology, role, part) for role, part in parts]
