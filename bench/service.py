"""The whole service as real processes, and clients that ask it."""

import asyncio
import contextlib
import json
import random
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from bench.timing import Laps
from engine import config, versions
from engine.config import Topology
from engine.errors import Unavailable
from spr.v1.search_service_pb2 import SearchRequest, SearchResponse
from spr.v1.search_service_pb2_grpc import SearchServiceStub

# The workers' calls, and the stage that each computes.
_CALLS = {"Encode": "encode", "SearchSegments": "retrieve", "Rank": "rank"}
# What every search computes; a query that the coordinator remembers needs no encoder.
_ALWAYS = {"retrieve", "propose", "rank"}


@dataclass(frozen=True, slots=True)
class Service:
    """A running service: the coordinator's address, and the file all processes log to.

    admin: the address of the coordinator's administration. index, ranker: those of the workers. process: the
    supervisor's id.
    """

    address: str
    log: Path
    admin: str
    index: tuple[str, ...]
    ranker: str
    process: int


@dataclass(frozen=True, slots=True)
class Load:
    """What `clients` concurrent clients saw. seconds: how long. whole: answers that were complete."""

    clients: int
    laps: Laps
    seconds: float
    whole: int

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.laps.values) / self.seconds


@contextlib.contextmanager
def running(collection: Path, threads: int, log_level: str = "info") -> Iterator[Service]:
    """Serve a collection: a coordinator, an index worker a shard with one thread, and a ranker worker.

    log_level: "debug" logs the milliseconds of every call, which `stages` reads.
    """
    topology, log = collection / "topology.toml", collection / "serve.log"
    shards = len(versions.read(collection).shards)
    topology.write_text(_topology(shards, threads, log_level), encoding="utf-8")
    command = [sys.executable, "-m", "bench.supervised", str(topology)]
    with log.open("w", encoding="utf-8") as file:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=file, text=True)
        with process:
            assert process.stdout is not None
            try:
                line = process.stdout.readline()
                if not line:
                    tail = "".join(log.read_text(encoding="utf-8").splitlines(keepends=True)[-5:])
                    raise Unavailable(f"the service did not start; {log} ends with: {tail}")
                yield _service(config.read(topology), json.loads(line)["address"], log, process.pid)
            finally:
                process.terminate()
                process.wait(timeout=60)


def _service(topology: Topology, address: str, log: Path, process: int) -> Service:
    index = tuple(one.listen for one in topology.index)
    return Service(address, log, topology.coordinator.admin, index, topology.ranker[0].listen, process)


def warm(service: Service, texts: Sequence[str], patience: float = 120.0, version: str = "") -> list[float]:
    """Warm the service up: ask every sentence until its answer is whole, as cold files may time a shard out.

    version: as `ask_in_turn`'s. Returns the milliseconds of each whole answer.
    """

    async def run() -> list[float]:
        found: list[float] = []
        ends = time.monotonic() + patience
        async with grpc.aio.insecure_channel(service.address) as channel:
            stub: Any = SearchServiceStub(channel)
            for text in texts:
                while True:
                    try:
                        answer, elapsed = await _ask(stub, text, "", version)
                        if not answer.coverage.degraded:
                            break
                    except grpc.aio.AioRpcError as error:
                        if error.code() is not grpc.StatusCode.UNAVAILABLE or time.monotonic() > ends:
                            raise
                found.append(elapsed)
        return found

    return asyncio.run(run())


def ask_in_turn(
    service: Service, texts: Sequence[str], runs: int, name: str, versions: Sequence[str] = ("",)
) -> list[tuple[str, float]]:
    """Ask one query after the other; return (request id, milliseconds) of each.

    versions: by number, "" for the active one; each query is asked of all of them, in turn. The request id is
    `name-version-run`.
    """

    async def run() -> list[tuple[str, float]]:
        async with grpc.aio.insecure_channel(service.address) as channel:
            stub: Any = SearchServiceStub(channel)
            found = []
            for number in range(runs):
                for version in versions:
                    request_id = f"{name}-{version}-{number}"
                    _, elapsed = await _ask(stub, texts[number % len(texts)], request_id, version)
                    found.append((request_id, elapsed))
            return found

    return asyncio.run(run())


def ask_together(service: Service, texts: Sequence[str], clients: int, seconds: float) -> Load:
    """Let `clients` ask for `seconds`, each its next query as soon as it has an answer."""

    async def client(stub: Any, first: int, ends: float, out: list[tuple[float, bool]]) -> None:
        number = first
        while time.perf_counter() < ends:
            answer, elapsed = await _ask(stub, texts[number % len(texts)], "")
            out.append((elapsed, not answer.coverage.degraded))
            number += 7

    async def run() -> Load:
        async with contextlib.AsyncExitStack() as stack:
            # A channel of their own for every eight, or they would queue for one connection.
            options = [("grpc.use_local_subchannel_pool", 1)]
            channels = [
                await stack.enter_async_context(grpc.aio.insecure_channel(service.address, options))
                for _ in range(-(-clients // 8))
            ]
            stubs: list[Any] = [SearchServiceStub(channels[i % len(channels)]) for i in range(clients)]
            out: list[tuple[float, bool]] = []
            began = time.perf_counter()
            ends = began + seconds
            await asyncio.gather(*(client(stub, 3 * i, ends, out) for i, stub in enumerate(stubs)))
            taken = time.perf_counter() - began
            return Load(clients, Laps(tuple(sorted(lap for lap, _ in out))), taken, sum(ok for _, ok in out))

    return asyncio.run(run())


def stages(log: Path, prefix: str) -> dict[str, dict[str, float]]:
    """Return by request id the milliseconds that were computed for it: encode, retrieve, propose, rank.

    retrieve is the slower shard's; all are what the processes themselves log of their calls at debug level,
    without the path between them. encode is missing where the coordinator remembered the query. Requests
    that lack another stage are left out; Unavailable if that leaves none.
    """
    found: dict[str, dict[str, float]] = {}
    for line in log.read_text(encoding="utf-8").splitlines():
        with contextlib.suppress(ValueError):
            _note(found, json.loads(line), prefix)
    whole = {request_id: parts for request_id, parts in found.items() if parts.keys() >= _ALWAYS}
    if not whole:
        raise Unavailable(f"{log} has no times of the workers' calls; serve with log_level debug.")
    return whole


def _note(found: dict[str, dict[str, float]], line: Mapping[str, Any], prefix: str) -> None:
    request_id = str(line.get("request_id", ""))
    if not request_id.startswith(prefix) or "ms" not in line:
        return
    stages = found.setdefault(request_id, {})
    if isinstance(line["ms"], Mapping):
        stages["propose"] = float(line["ms"].get("propose", 0.0))
        return
    stage = _CALLS.get(str(line["message"]).split(" ")[0].rpartition("/")[2])
    if stage:
        stages[stage] = max(stages.get(stage, 0.0), float(line["ms"]))


async def _ask(stub: Any, text: str, request_id: str, version: str = "") -> tuple[SearchResponse, float]:
    request = SearchRequest(text=text, request_id=request_id, version=version)
    began = time.perf_counter()
    answer = await stub.Search(request, timeout=20.0)
    return answer, 1000 * (time.perf_counter() - began)


def _topology(shards: int, threads: int, log_level: str) -> str:
    ports = iter(free_ports(shards + 3))
    lines = ['collection = "."', f'log_level = "{log_level}"', "[coordinator]"]
    lines += [f'{name} = "127.0.0.1:{next(ports)}"' for name in ("listen", "admin")]
    for shard in range(shards):
        lines += ["[[index]]", f"shard = {shard}", f'listen = "127.0.0.1:{next(ports)}"']
    lines += ["[[ranker]]", f'listen = "127.0.0.1:{next(ports)}"', f"threads = {threads}"]
    return "\n".join(lines) + "\n"


def free_ports(count: int) -> list[int]:
    """Return so many free ports, below those that the system gives to connections meanwhile."""
    found: list[int] = []
    with contextlib.ExitStack() as stack:
        while len(found) < count:
            one, port = stack.enter_context(socket.socket()), random.randrange(12_000, 32_000)
            with contextlib.suppress(OSError):
                one.bind(("127.0.0.1", port))
                found.append(port)
    return found
