"""All processes of a topology on one machine: started, watched, restarted, stopped.

Children learn of the supervisor's death by their stdin: it is a pipe whose other end only the supervisor
holds, so they stop even when it is killed. They speak to it in JSON lines on stdout (engine.serving); it
needs no gRPC itself, and so may start processes at any time.
"""

import contextlib
import json
import logging
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from engine.config import Topology
from engine.errors import SprError

_log = logging.getLogger("spr.supervisor")
MODULES = {"coordinator": "engine", "index": "workers.index", "ranker": "workers.ranker"}
FIRST_WAIT, LONGEST_WAIT = 0.25, 10.0  # seconds before a restart; doubles each time
STEADY = 60.0  # seconds after which a process counts as well again
# Of gRPC's two ways to wait for sockets the one without a thread pool of its own: a call wakes fewer threads.
# It is read when gRPC is loaded, so it must stand in the environment. One that knows no choice only says so.
POLLING = {"GRPC_EXPERIMENTS": "-event_engine_client,-event_engine_listener"}
PATIENCE = 15.0  # seconds to stop before a process is killed; longer than engine.serving.GRACE

Event = tuple[Literal["line", "exit", "stop"], "Child | None", Any]


class ChildFailed(SprError):
    """A process of the topology could not start; exits as that process did."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message, "CHILD_FAILED")
        self.exit_code = exit_code


@dataclass(frozen=True, slots=True)
class Program:
    """How to start one process. environment is added to ours."""

    role: str
    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]


@dataclass(eq=False)
class Child:
    """One process through all its lives."""

    program: Program
    process: subprocess.Popen[str] | None = None
    ready: dict[str, Any] | None = None
    error: str = ""
    served: bool = False
    began: float = 0.0
    wait: float = FIRST_WAIT
    restart_at: float | None = None


@dataclass(frozen=True, slots=True)
class Status:
    """What the supervisor tells of itself: each process's state, and whether searches are answered."""

    states: Mapping[str, str]
    healthy: bool
    seconds: float


def program(topology: Topology, role: str, part: Any, lifeline: bool = True) -> Program:
    """Return how to start one part of a topology."""
    which = ("--config", str(topology.path.resolve()), "--name", part.name, "--listen", part.listen)
    command = (sys.executable, "-m", MODULES[role], *which)
    threads = getattr(part, "threads", 1)
    environment = {name: value for name, value in POLLING.items() if name not in os.environ}
    if threads:
        environment["OMP_NUM_THREADS"] = str(threads)
    return Program(role, part.name, (*command, "--lifeline") if lifeline else command, environment)


def programs(topology: Topology) -> list[Program]:
    """Return all processes of a topology, the slow starters first."""
    parts: list[tuple[str, Any]] = [("ranker", part) for part in topology.ranker]
    parts += [("index", part) for part in topology.index]
    parts += [("coordinator", topology.coordinator)]
    return [program(topology, role, part) for role, part in parts]


@dataclass(eq=False)
class Supervisor:
    """Runs programs until told to stop.

    on_ready is called once, when everything serves, with the coordinator's ready line; on_change whenever
    a process's state changes before that.
    """

    programs: list[Program]
    on_ready: Callable[[dict[str, Any]], None]
    on_change: Callable[[Status], None] = lambda _: None
    children: list[Child] = field(default_factory=list)

    def __post_init__(self) -> None:
        # SimpleQueue may be used from a signal handler.
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._healthy = self._told = False
        self._began = time.monotonic()

    def run(self) -> None:
        """Start everything and keep it running until SIGINT or SIGTERM; ChildFailed if it cannot start."""
        self.children = [Child(program) for program in self.programs]
        with self._signals():
            try:
                for child in self.children:
                    self._start(child)
                self._tell()
                while self._handle():
                    pass
            finally:
                self._stop_all()

    def pids(self) -> dict[str, int]:
        """Return the process id of each running child; `name@listen` tells replicas apart."""
        return {_label(child): child.process.pid for child in self.children if child.process}

    def _handle(self) -> bool:
        """Take one event, or restart what is due; False when it is time to stop."""
        now = time.monotonic()
        for child in self.children:
            if child.restart_at is not None and child.restart_at <= now:
                self._start(child)
        due = [child.restart_at for child in self.children if child.restart_at is not None]
        try:
            kind, source, value = self._events.get(timeout=max(0.0, min(due) - now) if due else None)
        except queue.Empty:
            return True
        if kind == "stop" or source is None:
            return False
        if kind == "line":
            self._heard(source, value)
        else:
            self._ended(source, value)
        self._tell()
        return True

    def _heard(self, child: Child, line: dict[str, Any]) -> None:
        if "healthy" in line:
            self._healthy = bool(line["healthy"])
        elif line.get("ready"):
            child.ready, child.served = line, True
            _log.info("%s is ready", _label(child), extra={"address": line.get("address")})
        elif "error" in line:
            child.error = str(line["error"])

    def _ended(self, child: Child, code: int) -> None:
        child.process, child.ready = None, None
        if not child.served:
            # Nothing has ever worked here: trying again would only hide why.
            why = child.error or f"ended with exit code {code} before it was ready; see its messages above"
            raise ChildFailed(f"{_label(child)}: {why}", code if code > 0 else 1)
        if time.monotonic() - child.began > STEADY:
            child.wait = FIRST_WAIT
        why = child.error or (f"signal {-code}" if code < 0 else f"exit code {code}")
        _log.warning("%s ended (%s); again in %.2g s", _label(child), why, child.wait)
        child.restart_at, child.error = time.monotonic() + child.wait, ""
        child.wait = min(2 * child.wait, LONGEST_WAIT)

    def _start(self, child: Child) -> None:
        child.restart_at, child.began = None, time.monotonic()
        # Its own session: Ctrl-C in the terminal reaches the supervisor alone, which stops them in order.
        child.process = subprocess.Popen(
            child.program.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **child.program.environment},
            start_new_session=True,
        )
        threading.Thread(target=self._watch, args=(child, child.process), daemon=True).start()

    def _watch(self, child: Child, process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None
        for text in process.stdout:
            try:
                self._events.put(("line", child, dict(json.loads(text))))
            except ValueError:
                print(text, end="", file=sys.stderr, flush=True)
        code = process.wait()
        for pipe in (process.stdin, process.stdout):
            with contextlib.suppress(OSError):
                pipe.close()  # type: ignore[union-attr]
        self._events.put(("exit", child, code))

    def _tell(self) -> None:
        if self._told:
            return
        states = {_label(child): "ready" if child.ready else "starting" for child in self.children}
        self.on_change(Status(states, self._healthy, time.monotonic() - self._began))
        if self._healthy and all(child.ready for child in self.children):
            self._told = True
            front = next(child.ready for child in self.children if child.program.role == "coordinator")
            self.on_ready({**(front or {}), "pids": self.pids()})

    def _stop_all(self) -> None:
        """Stop the coordinator, then the workers, so that searches in flight are still answered."""
        for roles in (("coordinator",), ("index", "ranker")):
            group = [c.process for c in self.children if c.process and c.program.role in roles]
            for process in group:
                process.terminate()
            ends = time.monotonic() + PATIENCE
            for process in group:
                try:
                    process.wait(timeout=max(0.0, ends - time.monotonic()))
                except subprocess.TimeoutExpired:
                    _log.warning("process %d does not stop; killed", process.pid)
                    process.kill()
                    process.wait()

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        numbers = (signal.SIGTERM, signal.SIGINT)
        before = [signal.signal(n, lambda *_: self._events.put(("stop", None, None))) for n in numbers]
        try:
            yield
        finally:
            for number, handler in zip(numbers, before, strict=True):
                signal.signal(number, handler)


def _label(child: Child) -> str:
    program = child.program
    if program.role == "index":
        return f"{program.name}@{program.command[program.command.index('--listen') + 1]}"
    return program.name
