"""The processes of a topology for their supervisor: how each is started, its pipes, and its state."""

import contextlib
import dataclasses
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from engine import config, control_pipe, logs
from engine.config import Topology
from engine.errors import InvalidInput
from engine.silence import Silence

LAST_WORDS = 1.0  # seconds for what a process that ended wrote to stderr
FIRST_BACKOFF = 0.25  # seconds before the first restart after a crash
MODULES = {
    "coordinator": "engine",
    "index": "workers.index",
    "ranker": "workers.ranker",
    "encoder": "workers.encoder",
    "library": "trainer.library",
    "page": "spr_gateway",
}
# Searches are answered without these: a first start that fails does not end the service.
OPTIONAL = ("library", "page")
# gRPC's poller without a thread pool of its own: a call wakes fewer threads. gRPC reads the variable when it
# is loaded, so it must be in the environment; a version without the choice ignores it with a warning.
POLLING = {"GRPC_EXPERIMENTS": "-event_engine_client,-event_engine_listener"}

Pipes = subprocess.Popen[str]
Event = tuple[Literal["line", "exit"], "ManagedProcess", Pipes, Any]


@dataclass(frozen=True, slots=True)
class Program:
    """How to start one process. environment: variables beside our own.

    topology: the first line of its stdin, if its command reads one. target: where the coordinator reaches it.
    shares: addresses where others of these may be before it.
    """

    role: str
    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    topology: Topology | None = None
    target: str = ""
    shares: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, str, str]:
        """Return what it is known by while the topology changes: names of rankers are by their order."""
        return self.role, self.command[self.command.index("--listen") + 1], self.name.partition(".")[2]

    @property
    def label(self) -> str:
        """Return a unique name: replicas of a shard differ by where they listen."""
        if self.role == "index":
            return f"{self.name}@{self.key[1]}"
        return self.name


def program(topology: Topology, role: str, part: Any, supervised: bool = True) -> Program:
    """Return how to start one part of a topology: with the topology on stdin, or alone from its file."""
    source = control_pipe.STDIN if supervised else str(topology.path.absolute())
    which: tuple[str, ...] = ("--config", source, "--name", part.name, "--listen", part.listen)
    # A supervised process reads it from stdin, with the topology.
    which += ("--insecure",) * (topology.insecure and not supervised)
    command = (sys.executable, "-m", MODULES[role], *which)
    threads = getattr(part, "threads", 1)
    environment = {name: value for name, value in POLLING.items() if name not in os.environ}
    if threads:
        environment["OMP_NUM_THREADS"] = str(threads)
    several = getattr(part, "processes", 1) > 1
    shares = tuple(filter(None, (part.listen, part.admin, part.metrics))) if several else ()
    return Program(role, part.name, command, environment, topology, getattr(part, "target", ""), shares)


def programs(topology: Topology) -> list[Program]:
    """Return all processes of a topology, the slow starters first, and last what searches do not need.

    InvalidInput for a topology of several machines.
    """
    for listen in topology.listens:
        if topology.listens.count(listen) > 1 and not listen.endswith(":0"):
            raise InvalidInput(
                f"{topology.path} has several processes at {listen}, so on several machines; start each "
                "alone, as in `spr serve index --config FILE --name shard-00000`"
            )
    parts: list[tuple[str, Any]] = [("encoder", part) for part in topology.encoder]
    parts += [("ranker", part) for part in topology.ranker]
    parts += [("index", part) for part in topology.index]
    parts += [("coordinator", one) for part in topology.coordinators for one in part.each]
    parts += [("library", topology.library)] if topology.library else []
    parts += [("page", topology.page)] if topology.page else []
    return [program(topology, role, part) for role, part in parts]


@dataclass(eq=False)
class ManagedProcess:
    """One process of a topology across restarts. Times are of the monotonic clock.

    draining: predecessors that finish their calls in flight. down: why it does not run. settled: settings
    that a ranker measured at its first start, kept for the next ones. served: whether it was ever ready.
    backoff: seconds before the next restart after a crash. healthy, silent: what a coordinator said last:
    whether searches can be answered, and the seconds that workers have not answered it, by target. silence:
    what it does while it does not answer itself. uses: the mark of the topology file that it uses. removed:
    the topology has it no more; stopping: it was told so.
    """

    program: Program
    process: Pipes | None = None
    draining: list[Pipes] = field(default_factory=list)
    ready: dict[str, Any] | None = None
    ready_at: float = 0.0
    heartbeat: float = 0.0
    healthy: bool = False
    removed: bool = False
    stopping: bool = False
    uses: str = ""
    silent: dict[str, float] = field(default_factory=dict)
    silence: Silence = field(default_factory=Silence)
    error: str = ""
    down: str = ""
    settled: dict[str, Any] = field(default_factory=dict)
    served: bool = False
    backoff: float = FIRST_BACKOFF
    restart_at: float | None = None
    _forwarding: threading.Thread | None = None

    def start(self, tell: "Callable[[Event], None]", writer: logs.Writer) -> None:
        """Start it: `tell` gets each line of stdout and the exit code, `writer` gets stderr."""
        self.restart_at, self.ready, self.silent, self.uses = None, None, {}, ""
        # A session of its own: Ctrl-C in a terminal reaches the supervisor alone, which drains in order.
        self.process = subprocess.Popen(
            self.program.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            env={**os.environ, **self.program.environment},
            start_new_session=True,
        )
        errors = threading.Thread(target=self._forward_errors, args=(self.process, writer), daemon=True)
        errors.start()
        args = (self.process, tell, writer, errors)
        self._forwarding = threading.Thread(target=self._forward_lines, args=args, daemon=True)
        self._forwarding.start()

    def hear_out(self) -> None:
        """Wait, for a bounded time, until all that the last process said is forwarded."""
        if self._forwarding is not None:
            self._forwarding.join(2 * LAST_WORDS)

    def _forward_lines(
        self,
        process: Pipes,
        tell: "Callable[[Event], None]",
        writer: logs.Writer,
        errors: threading.Thread,
    ) -> None:
        """Send a process its topology, then forward its lines and its exit code, after its last errors."""
        assert process.stdout is not None
        if self.program.topology is not None:
            say(process, config.to_json(self._topology(self.program.topology)))
        with process.stdout as lines:
            for text in lines:
                try:
                    tell(("line", self, process, dict(json.loads(text))))
                except ValueError:
                    writer.put(logs.line(self.program.label, text.rstrip()))
        code = process.wait()
        close(process)
        # Bounded: what the process started may hold its stderr open.
        errors.join(LAST_WORDS)
        tell(("exit", self, process, code))

    def _topology(self, topology: config.Topology) -> config.Topology:
        """Return the topology of this start, with the settings that an earlier one measured."""
        name, settled = self.program.name, self.settled
        rankers = [dataclasses.replace(r, **settled) if r.name == name else r for r in topology.ranker]
        encoders = [dataclasses.replace(e, **settled) if e.name == name else e for e in topology.encoder]
        again = dataclasses.replace(topology, ranker=tuple(rankers), encoder=tuple(encoders))
        return dataclasses.replace(again, takeover=bool(self.draining or self.program.shares))

    def _forward_errors(self, process: Pipes, writer: logs.Writer) -> None:
        """Forward stderr: JSON lines of log as they are, other text wrapped into such."""
        assert process.stderr is not None
        with process.stderr as errors:
            for text in errors:
                log = text.startswith("{") or not text.strip()
                writer.put(text if log else logs.line(self.program.label, text.rstrip()))


def say(process: Pipes, line: str) -> None:
    """Write a line to a process's stdin; nothing if it is gone."""
    with contextlib.suppress(OSError, ValueError):
        assert process.stdin is not None
        os.write(process.stdin.fileno(), f"{line}\n".encode())


def close(process: Pipes) -> None:
    """Close a process's stdin, which stops it."""
    with contextlib.suppress(OSError, ValueError):
        assert process.stdin is not None
        process.stdin.close()
