"""`spr serve` as a user runs it: real processes on free ports."""

import contextlib
import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from bench.service import free_ports
from tests.forked import Supervisor
from tests.system.world import SPR

Found = TypeVar("Found")


def until(look: Callable[[], Found | None], seconds: float = 100.0) -> Found:
    """Return what `look` finds, looking again until it finds something."""
    ends = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < ends, "it did not happen in time"
        time.sleep(0.02)
    return found


def alive(pid: int) -> bool:
    """Whether a process runs; one that nobody has waited for yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # gone before it was opened, or before it was read
        return False


def write_topology(
    path: Path,
    collection: Path,
    shards: int = 2,
    *,
    collections: Sequence[Path] = (),
    library: dict[str, Any] | None = None,
    traces: str = "",
    page: bool = False,
    **coordinator: Any,
) -> Path:
    """Write a topology on free ports, those of metrics too. library: its settings, None for none.

    traces: where they go; those that a caller asks for alone. page: whether there is one.
    """
    front, admin, ranker, jobs, web, *index = free_ports(2 * (4 + shards) + 1)
    metrics = iter(index[shards:])
    lines = [f"collection = {json.dumps(str(collection))}", 'log_level = "warning"']
    lines += [f"collections = {json.dumps([*map(str, collections)])}", "[coordinator]"]
    front_settings = {"admin": f"127.0.0.1:{admin}", **coordinator}
    lines += _at(front, metrics)
    lines += [f"{name} = {json.dumps(value)}" for name, value in front_settings.items()]
    for shard, port in enumerate(index[:shards]):
        lines += ["[[index]]", f"shard = {shard}", *_at(port, metrics)]
    # "auto" chooses by time, which depends on what else runs.
    settings = ["threads = 1", 'device = "cpu"', 'text_precision = "float32"']
    lines += ["[[ranker]]", *_at(ranker, metrics), *settings]
    if library is not None:
        lines += ["[library]", *_at(jobs, metrics), 'device = "cpu"']
        lines += [f"{name} = {json.dumps(value)}" for name, value in library.items()]
    if traces:
        lines += ["[tracing]", f'endpoint = "{traces}"', "sample = 0.0"]
    lines += ["[page]", *_at(web, metrics)] if page else []
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def _at(port: int, metrics: Iterator[int]) -> list[str]:
    return [f'listen = "127.0.0.1:{port}"', f'metrics = "127.0.0.1:{next(metrics)}"']


@dataclass
class Service:
    """A running `spr serve`. log: its stderr and that of all its processes."""

    process: "subprocess.Popen[str] | Supervisor"
    ready: dict[str, Any]
    log: Path

    @property
    def address(self) -> str:
        return str(self.ready["address"])

    def children(self) -> list[int]:
        """Return the processes that the service consists of now, without the supervisor."""
        listed = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in listed.read_text().split()]

    def pid_now(self, name: str) -> int:
        """Return the process that `name` is now, whatever it began as."""
        for pid in self.children():
            if Path(f"/proc/{pid}/comm").read_text() == f"{name}\n":
                return pid
        raise LookupError(name)

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        self.process.send_signal(number)
        return self.process.wait(timeout=300)


def launch(log: Path, *arguments: str) -> "subprocess.Popen[str]":
    """Start `spr serve` as a user does."""
    with log.open("w") as file:
        command = [*SPR, "serve", *arguments]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=file, text=True)


Start = type[Supervisor] | Callable[..., "subprocess.Popen[str]"]


@contextlib.contextmanager
def running(log: Path, *arguments: str, start: Start = Supervisor) -> Iterator[Service]:
    """Serve for a block. Ctrl-C ends the service after it, with exit code 0 and no process left.

    start: `launch`, where the start itself is tested.
    """
    with start(log, *arguments, "--json") as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, log.read_text()
        service = Service(process, json.loads(line), log)
        try:
            yield service
        except BaseException:
            service.stop()
            raise
        if process.poll() is None:
            children = service.children()
            assert children
            assert service.stop(signal.SIGINT) == 0
            assert not any(map(alive, children))
