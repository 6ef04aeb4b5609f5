"""Supervises all processes of a topology on one machine: start, health, restart with back-off, shutdown.

Children read their stdin, whose other end the supervisor alone holds: end of file stops them even when it was
killed. They report in JSON lines on stdout (engine.serving), it answers on stdin (engine.control_pipe). The
supervisor opens no gRPC channel, so it may fork at any time.
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

from engine import logs, ports
from engine.errors import SprError
from engine.following import Followed, Following
from engine.processes import FIRST_BACKOFF, OPTIONAL, Event, ManagedProcess, Pipes, Program, close, say

_log = logging.getLogger("spr.supervisor")
LONGEST_BACKOFF = 10.0  # seconds; upper bound of the exponential back-off in a crash loop
STEADY = 10.0  # seconds of readiness that end a crash loop
PATIENCE = 15.0  # seconds to drain before SIGKILL; longer than engine.serving.GRACE
OPTIONAL_PATIENCE = 5.0  # seconds that what searches do not need is waited for before all is told ready
TICK = 1.0  # seconds between checks for hung processes


class StartFailed(SprError):
    """A process of the topology did not start; the exit code is that process's."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message, "START_FAILED")
        self.exit_code = exit_code


@dataclass(frozen=True, slots=True)
class Status:
    """A progress report: each process's state, and whether searches can be answered."""

    states: Mapping[str, str]
    healthy: bool
    seconds: float


@dataclass(eq=False)
class Supervisor:
    """Runs programs until told to stop.

    on_ready is called once, when everything serves, with the first coordinator's ready line and the addresses
    of all; on_change after every change before that. hang_timeout: seconds without a heartbeat, answer or
    work before SIGKILL (engine.silence); 0: never. follow: looked at once a second: returns the programs of a
    topology that has changed. writer: gets the processes' stderr.
    """

    programs: list[Program]
    on_ready: Callable[[dict[str, Any]], None]
    on_change: Callable[[Status], None] = lambda _: None
    hang_timeout: float = 10.0
    follow: Callable[[], Followed | None] = lambda: None
    writer: logs.Writer = field(default_factory=lambda: logs.Writer(sys.stderr))
    children: list[ManagedProcess] = field(default_factory=list)

    def __post_init__(self) -> None:
        # SimpleQueue is reentrant: a signal handler may put.
        self._events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._told = False
        self._following = Following(self.follow, self.children, self._start)
        self._next_look = self._serving_since = 0.0
        self._began = self._looked = time.monotonic()

    def run(self) -> None:
        """Start everything and keep it running until SIGINT or SIGTERM; StartFailed if it cannot start."""
        for address in {address: None for program in self.programs for address in program.shares}:
            ports.check_free(address)
        self.children += [ManagedProcess(program) for program in self.programs]
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
        """Handle one event, and restart what is due; False when it is time to stop."""
        now = time.monotonic()
        if now >= self._next_look:
            self._next_look = now + TICK
            if self._told:
                self._following.look()
        for child in self.children:
            if child.restart_at is not None and child.restart_at <= now:
                self._start(child)
        self._kill_silent_coordinator(now)
        due = [child.restart_at - now for child in self.children if child.restart_at is not None]
        try:
            event = self._events.get(timeout=max(0.0, min([TICK, *due])))
        except queue.Empty:
            self._tell()
            return True
        if event is None:
            return False
        kind, child, process, value = event
        (self._heard if kind == "line" else self._ended)(child, process, value)
        self._tell()
        return True

    def _heard(self, child: ManagedProcess, process: Pipes, line: dict[str, Any]) -> None:
        if process is not child.process:
            return
        if "beat" in line:
            child.heartbeat, child.silent = time.monotonic(), dict(line["silent"])
            child.uses = str(line.get("topology", ""))
            self._kill_silent_workers()
            self._following.stop_removed()
        elif "healthy" in line:
            child.healthy = bool(line["healthy"])
            for old in child.draining:
                close(old)
        elif line.get("leaving") and not child.removed:
            _log.info("%s drains; its successor starts", child.program.label)
            child.draining.append(process)
            self._start(child)
        elif line.get("ready"):
            child.ready, child.served, child.down = line, True, ""
            child.ready_at = child.heartbeat = time.monotonic()
            child.settled = line.get("settled", {})
            _log.info("%s is ready", child.program.label, extra={"address": line.get("address")})
            self._tell_down()
        elif "error" in line:
            child.error = str(line["error"])

    def _ended(self, child: ManagedProcess, process: Pipes, code: int) -> None:
        if process in child.draining:
            child.draining.remove(process)
            return
        was_ready, child.process, child.ready = child.ready, None, None
        if self._following.forget(child):
            return
        if not self._told and not child.served and child.program.role not in OPTIONAL:
            # The first start fails for good: a retry would hide the reason.
            why = child.error or f"ended with exit code {code} before it was ready; see its messages above"
            raise StartFailed(f"{child.program.label}: {why}", code if code > 0 else 1)
        if was_ready and (code == 0 or time.monotonic() - child.ready_at > STEADY):
            child.backoff = FIRST_BACKOFF
        wait = 0.0 if was_ready and code == 0 else child.backoff  # a clean exit is no crash
        why = child.error or (f"signal {-code}" if code < 0 else f"exit code {code}")
        child.down, child.error = f"ended ({why}); restarts in {wait:.2g} s", ""
        _log.warning("%s %s", child.program.label, child.down)
        child.restart_at = time.monotonic() + wait
        if wait:
            child.backoff = min(2 * child.backoff, LONGEST_BACKOFF)
        self._tell_down()

    def _kill_silent_coordinator(self, now: float) -> None:
        if now - self._looked > 3 * TICK:
            # This process was suspended itself; heartbeats of that time are still unread.
            for child in self.children:
                child.heartbeat = now
        self._looked = now
        for child in self._coordinators():
            self._kill_silent(child, now - child.heartbeat)

    def _kill_silent_workers(self) -> None:
        """Kill the workers that have not answered any coordinator for too long."""
        now, heard = time.monotonic(), [child.silent for child in self._coordinators()]
        for child in self.children:
            if child.ready and child.program.role != "coordinator":
                seconds = [silent.get(child.program.target, 0.0) for silent in heard]
                self._kill_silent(child, min([now - child.ready_at, *seconds]))

    def _kill_silent(self, child: ManagedProcess, seconds: float) -> None:
        if child.process and child.silence.hangs(child.process.pid, seconds, self.hang_timeout):
            child.error = f"hung for {seconds:.0f} s, killed"
            child.process.kill()

    def _coordinators(self) -> list[ManagedProcess]:
        """Return the coordinators that are ready."""
        return [child for child in self.children if child.program.role == "coordinator" and child.ready]

    def _start(self, child: ManagedProcess) -> None:
        child.start(self._events.put, self.writer)

    def _tell(self) -> None:
        if self._told:
            return
        states = {child.program.label: "ready" if child.ready else "starting" for child in self.children}
        fronts = [child for child in self.children if child.program.role == "coordinator"]
        healthy = bool(fronts) and all(child.healthy for child in fronts)
        self.on_change(Status(states, healthy, time.monotonic() - self._began))
        needed = [child for child in self.children if child.program.role not in OPTIONAL]
        if not (healthy and all(child.ready for child in needed)):
            return
        self._serving_since = self._serving_since or time.monotonic()
        late = time.monotonic() - self._serving_since >= OPTIONAL_PATIENCE
        if late or all(child.ready or child.down for child in self.children):
            self._told = True
            lines = [child.ready or {} for child in fronts]
            addresses = list(dict.fromkeys(line.get("address", "") for line in lines))
            page = next((child.ready for child in self.children if child.program.role == "page"), None)
            pages = {"page": page["address"]} if page else {}
            self.on_ready({**lines[0], **pages, "addresses": addresses, "pids": self.pids()})

    def _tell_down(self) -> None:
        """Report to the coordinators why workers are down, for `spr admin status`."""
        down = {child.program.target: child.down for child in self.children if child.down}
        for child in self._coordinators():
            if child.process:
                say(child.process, json.dumps({"down": down}))

    def _stop_all(self) -> None:
        """Drain the coordinators, then stop the workers, so that searches in flight are answered."""
        for roles in (("page", "coordinator"), ("index", "ranker", "encoder", "library")):
            children = [child for child in self.children if child.program.role in roles]
            group = [process for c in children for process in (c.process, *c.draining) if process]
            for process in group:
                process.terminate()
                close(process)
            ends = time.monotonic() + PATIENCE
            for process in group:
                try:
                    process.wait(timeout=max(0.0, ends - time.monotonic()))
                except subprocess.TimeoutExpired:
                    _log.warning("process %d did not drain in time; killed", process.pid)
                    process.kill()
                    process.wait()
            for child in children:
                child.hear_out()

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        numbers = (signal.SIGTERM, signal.SIGINT)
        before = [signal.signal(n, lambda *_: self._events.put(None)) for n in numbers]
        try:
            yield
        finally:
            for number, handler in zip(numbers, before, strict=True):
                signal.signal(number, handler)
