"""All processes of a topology on one machine: started, watched, restarted, stopped.

Children learn of the supervisor's death by their stdin: it is a pipe whose other end only the supervisor
holds, so they stop even when it is killed. They speak to it in JSON lines on stdout (engine.serving), it to
them on stdin (engine.control_pipe). It needs no gRPC itself, and so may start processes at any time.
"""

import contextlib
import json
import logging
import queue
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from engine import logs
from engine.child import FIRST_WAIT, Child, Event, Process, close, say
from engine.errors import SprError
from engine.programs import Program

_log = logging.getLogger("spr.supervisor")
LONGEST_WAIT = 10.0  # seconds before a restart in a crash loop; twice as long after each crash
STEADY = 10.0  # seconds after which a process that was ready is in no crash loop
PATIENCE = 15.0  # seconds to stop before a process is killed; longer than engine.serving.GRACE
TICK = 1.0  # seconds between looks at who has hung


class ChildFailed(SprError):
    """A process of the topology could not start; exits as that process did."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message, "CHILD_FAILED")
        self.exit_code = exit_code


@dataclass(frozen=True, slots=True)
class Status:
    """What the supervisor tells of itself: each process's state, and whether searches are answered."""

    states: Mapping[str, str]
    healthy: bool
    seconds: float


@dataclass(eq=False)
class Supervisor:
    """Runs programs until told to stop.

    on_ready is called once, when everything serves, with the coordinator's ready line; on_change whenever
    a process's state changes before that. hang_timeout: seconds of silence after which a process is killed;
    0: never. writer: takes what the processes write to stderr.
    """

    programs: list[Program]
    on_ready: Callable[[dict[str, Any]], None]
    on_change: Callable[[Status], None] = lambda _: None
    hang_timeout: float = 10.0
    writer: logs.Writer = field(default_factory=lambda: logs.Writer(sys.stderr))
    children: list[Child] = field(default_factory=list)

    def __post_init__(self) -> None:
        # SimpleQueue may be used from a signal handler.
        self._events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._healthy = self._told = False
        self._began = self._looked = time.monotonic()

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
        return {child.program.label: child.process.pid for child in self.children if child.process}

    def _handle(self) -> bool:
        """Take one event, or restart what is due; False when it is time to stop."""
        now = time.monotonic()
        for child in self.children:
            if child.restart_at is not None and child.restart_at <= now:
                self._start(child)
        self._kill_silent_coordinator(now)
        due = [child.restart_at - now for child in self.children if child.restart_at is not None]
        try:
            event = self._events.get(timeout=max(0.0, min([TICK, *due])))
        except queue.Empty:
            return True
        if event is None:
            return False
        kind, child, process, value = event
        if kind == "line":
            self._heard(child, process, value)
        else:
            self._ended(child, process, value)
        self._tell()
        return True

    def _heard(self, child: Child, process: Process, line: dict[str, Any]) -> None:
        if process is not child.process:
            return
        if "beat" in line:
            child.beat = time.monotonic()
            self._kill_silent_workers(line["silent"])
        elif "healthy" in line:
            self._healthy = bool(line["healthy"])
            for old in child.leaving:
                close(old)
        elif line.get("leaving"):
            _log.info("%s leaves; the next one starts", child.program.label)
            child.leaving.append(process)
            self._start(child)
        elif line.get("ready"):
            child.ready, child.served, child.down = line, True, ""
            child.ready_at = child.beat = time.monotonic()
            child.settled = line.get("settled", {})
            _log.info("%s is ready", child.program.label, extra={"address": line.get("address")})
            self._tell_down()
        elif "error" in line:
            child.error = str(line["error"])

    def _ended(self, child: Child, process: Process, code: int) -> None:
        if process in child.leaving:
            child.leaving.remove(process)
            return
        was_ready, child.process, child.ready = child.ready, None, None
        if not child.served:
            # Nothing has ever worked here: trying again would only hide why.
            why = child.error or f"ended with exit code {code} before it was ready; see its messages above"
            raise ChildFailed(f"{child.program.label}: {why}", code if code > 0 else 1)
        if was_ready and (code == 0 or time.monotonic() - child.ready_at > STEADY):
            child.wait = FIRST_WAIT
        # One that was told to stop, and did, is no crash.
        wait = 0.0 if was_ready and code == 0 else child.wait
        why = child.error or (f"signal {-code}" if code < 0 else f"exit code {code}")
        child.down, child.error = f"ended ({why}); again in {wait:.2g} s", ""
        _log.warning("%s %s", child.program.label, child.down)
        child.restart_at = time.monotonic() + wait
        if wait:
            child.wait = min(2 * child.wait, LONGEST_WAIT)
        self._tell_down()

    def _kill_silent_coordinator(self, now: float) -> None:
        if now - self._looked > 3 * TICK:
            # It was this process that stood still: what the others said meanwhile is not read yet.
            for child in self.children:
                child.beat = now
        self._looked = now
        for child in self.children:
            if child.program.role == "coordinator" and child.ready:
                self._kill_silent(child, now - child.beat)

    def _kill_silent_workers(self, silent: Mapping[str, float]) -> None:
        now = time.monotonic()
        for child in self.children:
            if child.ready and child.program.target in silent:
                self._kill_silent(child, min(silent[child.program.target], now - child.ready_at))

    def _kill_silent(self, child: Child, seconds: float) -> None:
        if child.process and 0 < self.hang_timeout <= seconds:
            child.error = f"did not answer for {seconds:.0f} s, killed"
            child.process.kill()

    def _start(self, child: Child) -> None:
        child.start(self._events.put, self.writer)

    def _tell(self) -> None:
        if self._told:
            return
        states = {child.program.label: "ready" if child.ready else "starting" for child in self.children}
        self.on_change(Status(states, self._healthy, time.monotonic() - self._began))
        if self._healthy and all(child.ready for child in self.children):
            self._told = True
            front = next(child.ready for child in self.children if child.program.role == "coordinator")
            self.on_ready({**(front or {}), "pids": self.pids()})

    def _tell_down(self) -> None:
        """Tell the coordinator why workers are down, for those who ask it."""
        down = {child.program.target: child.down for child in self.children if child.down}
        for child in self.children:
            if child.program.role == "coordinator" and child.process and child.ready:
                say(child.process, json.dumps({"down": down}))

    def _stop_all(self) -> None:
        """Stop the coordinator, then the workers, so that searches in flight are still answered."""
        for roles in (("coordinator",), ("index", "ranker")):
            children = [child for child in self.children if child.program.role in roles]
            group = [process for c in children for process in (c.process, *c.leaving) if process]
            for process in group:
                process.terminate()
                close(process)
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
        before = [signal.signal(n, lambda *_: self._events.put(None)) for n in numbers]
        try:
            yield
        finally:
            for number, handler in zip(numbers, before, strict=True):
                signal.signal(number, handler)
