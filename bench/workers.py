"""A running service's workers: versions prepared and dropped by hand, and memory."""

import contextlib
import json
import re
import time
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import grpc

from bench.service import Service
from spr.internal.v1 import version_service_pb2 as pb
from spr.internal.v1.version_service_pb2_grpc import VersionServiceStub
from spr.v1.admin_service_pb2 import ActivateVersionRequest
from spr.v1.admin_service_pb2_grpc import AdminServiceStub

_PATIENCE = 300.0


def prepare(address: str, version: str) -> float:
    """Let a worker open a version; return the seconds that the call took."""
    with grpc.insecure_channel(address) as channel:
        stub: Any = VersionServiceStub(channel)
        grpc.channel_ready_future(channel).result(_PATIENCE)
        began = time.perf_counter()
        stub.PrepareVersion(pb.PrepareVersionRequest(version=version), timeout=_PATIENCE)
        return time.perf_counter() - began


def drop(address: str, version: str) -> None:
    """Let a worker close a version."""
    with grpc.insecure_channel(address) as channel:
        stub: Any = VersionServiceStub(channel)
        stub.DropVersion(pb.DropVersionRequest(version=version), timeout=_PATIENCE)


def prepare_beside(service: Service, version: str) -> float:
    """Let the coordinator prepare a version everywhere, so that searches may name it; return the seconds."""
    with grpc.insecure_channel(service.admin) as channel:
        stub: Any = AdminServiceStub(channel)
        began = time.perf_counter()
        request = ActivateVersionRequest(version=version, prepare_only=True)
        stub.ActivateVersion(request, timeout=_PATIENCE)
        return time.perf_counter() - began


def at_start(log: Path, kind: str) -> float:
    """Return the seconds that a worker, "index" or "ranker", took for its first version when it started."""
    lines = [line for line in log.read_text(encoding="utf-8").splitlines() if '"version prepared"' in line]
    # The ranker is the one that opens the parts of all shards.
    found = sorted((json.loads(line) for line in lines), key=lambda line: line["time"])
    opened = [line["seconds"] for line in found if (line["opened"] > 1) == (kind == "ranker")]
    return float(opened[0])


def memory(service: Service, kind: str) -> int:
    """Return the resident bytes of the first worker of a kind, mapped files included."""
    module = f"workers.{kind}"
    for process in _processes(service):
        if module in Path(f"/proc/{process}/cmdline").read_text(encoding="utf-8").split("\0"):
            return _resident(process)
    raise ProcessLookupError(f"the service has no process of {module}")


def memory_of_all(service: Service) -> int:
    """Return the resident bytes of all processes of a service together, mapped files included."""
    return sum(map(_resident, _processes(service)))


@dataclass(frozen=True, slots=True)
class Work:
    """What processes of a kind have done so far.

    loop, threads: CPU milliseconds of the main thread, the event loop's, and of all others. waits: how often
    a thread waited for something.
    """

    loop: float = 0.0
    threads: float = 0.0
    waits: float = 0.0

    def since(self, before: "Work", searches: int) -> "Work":
        """Return what was done since then, a search."""
        pairs = zip(astuple(self), astuple(before), strict=True)
        return Work(*((now - then) / searches for now, then in pairs))


def work(service: Service) -> dict[str, Work]:
    """Return what the processes of each kind have done: coordinator, index (all shards), ranker."""
    done: dict[str, Work] = {}
    for process in _processes(service):
        module = Path(f"/proc/{process}/cmdline").read_text(encoding="utf-8").split("\0")[2]
        kind = "coordinator" if module == "engine" else module.rpartition(".")[2]
        one = _work(process)
        done[kind] = Work(
            *(a + b for a, b in zip(astuple(done.get(kind, Work())), astuple(one), strict=True))
        )
    return done


def _work(process: str) -> Work:
    loop = threads = waits = 0.0
    for thread in Path(f"/proc/{process}/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has ended
            spent = int((thread / "schedstat").read_text().split()[0]) / 1e6
            found = re.search(r"\nvoluntary_ctxt_switches:\s+(\d+)", (thread / "status").read_text())
            waits += int(found[1]) if found else 0
            loop, threads = (loop + spent, threads) if thread.name == process else (loop, threads + spent)
    return Work(loop, threads, waits)


def _processes(service: Service) -> list[str]:
    return Path(f"/proc/{service.process}/task/{service.process}/children").read_text().split()


def _resident(process: str) -> int:
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text())
    return 1024 * int(found[1]) if found else 0
