"""One process that a supervisor keeps: its pipes, and what it said of itself."""

import contextlib
import dataclasses
import json
import os
import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from engine import config, logs
from engine.programs import Program

FIRST_WAIT = 0.25  # seconds before the first restart after a crash

Process = subprocess.Popen[str]
Event = tuple[Literal["line", "exit"], "Child", Process, Any]


@dataclass(eq=False)
class Child:
    """One process through all its lives. Times are of the monotonic clock.

    leaving: those before it that still finish what they have in flight. down: why it does not run. settled:
    settings that a ranker chose in its first life, by measuring.
    """

    program: Program
    process: Process | None = None
    leaving: list[Process] = field(default_factory=list)
    ready: dict[str, Any] | None = None
    ready_at: float = 0.0
    beat: float = 0.0
    error: str = ""
    down: str = ""
    settled: dict[str, Any] = field(default_factory=dict)
    served: bool = False
    wait: float = FIRST_WAIT
    restart_at: float | None = None

    def start(self, tell: "Callable[[Event], None]", writer: logs.Writer) -> None:
        """Begin a life: `tell` is called with each line on stdout and with the end, `writer` gets stderr."""
        self.restart_at, self.ready = None, None
        # Its own session: Ctrl-C in the terminal reaches the supervisor alone, which stops them in order.
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
        watch = threading.Thread(target=self._watch, args=(self.process, tell, writer), daemon=True)
        pass_on = threading.Thread(target=self._pass_on, args=(self.process, writer), daemon=True)
        pass_on.start()
        watch.start()

    def _watch(self, process: Process, tell: "Callable[[Event], None]", writer: logs.Writer) -> None:
        """Give a process its topology, and pass on what it says."""
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
        tell(("exit", self, process, code))

    def _topology(self, topology: config.Topology) -> config.Topology:
        """Return what this life is told: what an earlier one settled is not settled anew."""
        name, settled = self.program.name, self.settled
        rankers = [dataclasses.replace(r, **settled) if r.name == name else r for r in topology.ranker]
        return dataclasses.replace(topology, ranker=tuple(rankers), takeover=bool(self.leaving))

    def _pass_on(self, process: Process, writer: logs.Writer) -> None:
        """Pass on what a process writes to stderr: lines of log as they are, all else made into such."""
        assert process.stderr is not None
        with process.stderr as errors:
            for text in errors:
                log = text.startswith("{") or not text.strip()
                writer.put(text if log else logs.line(self.program.label, text.rstrip()))


def say(process: Process, line: str) -> None:
    """Write a line to a process's stdin; nothing if it is gone."""
    with contextlib.suppress(OSError, ValueError):
        assert process.stdin is not None
        os.write(process.stdin.fileno(), f"{line}\n".encode())


def close(process: Process) -> None:
    """Close a process's stdin, which tells it to stop."""
    with contextlib.suppress(OSError, ValueError):
        assert process.stdin is not None
        process.stdin.close()
