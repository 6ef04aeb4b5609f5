"""A real service under test: its processes by role, when each became ready, and whether all is whole."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

import grpc

from engine import versions
from engine.errors import Unavailable
from recipes.chaos import topology
from recipes.chaos.topology import Part, Setup
from recipes.steps import SPR
from spr.v1.admin_service_pb2 import GetStatusRequest, Worker
from spr.v1.admin_service_pb2_grpc import AdminServiceStub

MODULES = {"engine": "coordinator", "workers.index": "index", "workers.ranker": "ranker"}
MODULES["trainer.library"] = "library"
START, PATIENCE = 240.0, 180.0  # seconds, on a machine with other work
# Fewer segments than there are: the cut between hits and the rest is tested too.
SEGMENTS = 60


@dataclass(frozen=True, slots=True)
class Process:
    """One that runs now."""

    role: str
    name: str
    listen: str
    pid: int

    @property
    def label(self) -> str:
        """Return a name that tells replicas apart."""
        return f"{self.name}@{self.listen}"

    def send(self, number: signal.Signals) -> None:
        """Send a signal, unless it has gone."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    @property
    def alive(self) -> bool:
        """Whether it runs; one that nobody has waited for does not."""
        try:
            stat = Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8")
        except (FileNotFoundError, ProcessLookupError):
            return False
        return stat.rpartition(")")[2].split()[0] not in "ZX"


class Service:
    """`spr serve` over a collection, or with `private` each of its processes started alone."""

    def __init__(self, folder: Path, collection: Path, setup: Setup) -> None:
        self.folder, self.collection, self.setup = folder, collection, setup
        self.parts = topology.parts(setup)
        self.log = folder / "serve.jsonl"
        self._started: list[subprocess.Popen[str]] = []
        self._ready: list[tuple[float, str]] = []
        self._read = 0

    @property
    def addresses(self) -> list[str]:
        """Where clients search."""
        return [part.listen for part in self.parts if part.role == "coordinator"]

    @property
    def admins(self) -> list[str]:
        """Where the operator calls."""
        return [part.admin for part in self.parts if part.role == "coordinator"]

    @property
    def supervisor(self) -> int:
        """The id of the process that started all others."""
        return self._started[0].pid

    def copy(self, part: Part) -> Path:
        """Return the collection that a process reads: a copy of its own where the setup is private."""
        if not self.setup.private:
            return self.collection
        return self.folder / f"of-{part.listen.rpartition(':')[2]}" / "collection"

    def start(self) -> None:
        """Start everything, and wait until it is whole."""
        about = {"encoded_queries": self.setup.sentences, "segment_top_k": SEGMENTS}
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self.setup.private:
            path = topology.write(self.folder / "topology.toml", self.collection, self.parts, about)
            self._launch(str(path))
        for part in self.parts if self.setup.private else ():
            mine = self.copy(part)
            shutil.copytree(self.collection, mine)
            path = topology.write(mine.parent / "topology.toml", mine, self.parts, about)
            self._launch(part.role, "--config", str(path), "--listen", part.listen)
        self.wait_until_whole(START)

    def _launch(self, *arguments: str) -> None:
        with self.log.open("a", encoding="utf-8") as log:
            command = [*SPR, "serve", *arguments]
            self._started.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log, text=True))

    def stop(self) -> None:
        """Stop everything as Ctrl-C does."""
        for process in self._started:
            process.send_signal(signal.SIGINT)
        for process in self._started:
            try:
                process.wait(timeout=PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._started.clear()

    def kill(self) -> None:
        """Kill the supervisor: all of its processes end with it, as in a power cut. `start` begins anew."""
        ending = self.processes()
        for process in self._started:
            process.kill()
            process.wait()
        self._started.clear()
        wait_until(lambda: not any(process.alive for process in ending), "all processes ended")

    def processes(self, role: str = "") -> list[Process]:
        """Return the processes that run now, of one role or all, in the topology's order."""
        pids = [process.pid for process in self._started]
        if not self.setup.private:
            listed = (Path(f"/proc/{pid}/task/{pid}/children") for pid in pids)
            pids = [int(child) for path in listed for child in path.read_text(encoding="utf-8").split()]
        order = [part.listen for part in self.parts]
        found = [one for pid in pids if (one := _process(pid)) and one.role.startswith(role)]
        return sorted((one for one in found if one.alive), key=lambda one: (order.index(one.listen), one.pid))

    def ready_after(self, listen: str, when: float) -> float | None:
        """Return when the process at an address became ready after a time; None: not yet."""
        with self.log.open(encoding="utf-8") as log:
            log.seek(self._read)
            for line in iter(log.readline, ""):
                if not line.endswith("\n"):
                    break
                self._read = log.tell()
                if ' is ready"' in line:
                    about = json.loads(line)
                    at = datetime.fromisoformat(about["time"]).timestamp()
                    self._ready.append((at, about.get("address", "")))
        return next((at for at, address in self._ready if address == listen and at > when), None)

    def wait_until_ready(self, processes: list[Process], when: float) -> float:
        """Wait until successors of these processes are ready; return when the last one was."""
        for one in processes:
            wait_until(partial(self.ready_after, one.listen, when), f"{one.label} is ready again")
        return max((self.ready_after(one.listen, when) or when for one in processes), default=when)

    def wait_until_whole(self, seconds: float = PATIENCE) -> None:
        """Wait until every coordinator says that every worker serves the newest version."""
        wait_until(self._whole, "every worker serves the newest version", seconds)

    def _whole(self) -> bool:
        for process in self._started:
            if process.poll() is not None:
                raise Unavailable(f"`spr serve` ended with {process.returncode}; its log is {self.log}")
        newest = versions.current(self.collection)
        try:
            for admin in self.admins:
                with grpc.insecure_channel(admin) as channel:
                    told = AdminServiceStub(channel).GetStatus(GetStatusRequest(), timeout=5)
                serving = [one for one in told.workers if one.state == Worker.STATE_SERVING]
                held = {one.generation for one in serving if one.role != Worker.ROLE_LIBRARY}
                if len(serving) < len(self.parts) - len(self.admins) or held != {newest}:
                    return False
        except grpc.RpcError:
            return False
        return len(self.processes()) == len(self.parts)


def wait_until(look: Callable[[], object], what: str, seconds: float = PATIENCE) -> None:
    """Wait until `look()` is true; Unavailable with what did not happen after so many seconds."""
    ends = time.monotonic() + seconds
    while not look():
        if time.monotonic() > ends:
            raise Unavailable(f"it did not happen within {seconds:g} s that {what}")
        time.sleep(0.02)


@contextlib.contextmanager
def running(folder: Path, collection: Path, setup: Setup) -> Iterator[Service]:
    """Serve for a block."""
    service = Service(folder, collection, setup)
    try:
        service.start()
        yield service
    finally:
        service.stop()


def _process(pid: int) -> Process | None:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8").split("\0")
    except (FileNotFoundError, ProcessLookupError):
        return None
    module = words[words.index("-m") + 1] if "-m" in words else ""
    if module not in MODULES or "--listen" not in words:
        return None
    return Process(MODULES[module], words[words.index("--name") + 1], words[words.index("--listen") + 1], pid)
