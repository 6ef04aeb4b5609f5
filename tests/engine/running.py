"""A coordinator over oracle workers: in this process and its own event loop, or as a process of its own."""

import asyncio
import json
import logging
import queue
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import grpc
import grpc.aio
import pytest
from google.rpc import error_details_pb2, status_pb2

from engine import __main__ as coordinating
from engine.coordinator import Coordinator
from engine.faults import reason_of
from engine.logs import JsonFormatter
from spr.v1.search_service_pb2 import SearchRequest, SearchResponse
from spr.v1.search_service_pb2_grpc import SearchServiceStub
from tests.engine.oracle import Cluster
from tests.forked import part

if TYPE_CHECKING:
    from spr.v1.search_service_pb2_grpc import SearchServiceAsyncStub

Result = TypeVar("Result")


@asynccontextmanager
async def coordinator(cluster: Cluster) -> AsyncIterator[tuple["SearchServiceAsyncStub", Coordinator]]:
    running = Coordinator(cluster.topology)
    await running.start()
    try:
        async with grpc.aio.insecure_channel(running.address) as channel:
            yield SearchServiceStub(channel), running
    finally:
        await running.stop(grace=0.0)


def ask(cluster: Cluster, question: Callable[["SearchServiceAsyncStub"], Awaitable[Result]]) -> Result:
    """Return what `question(stub)` brings from a fresh coordinator."""

    async def run() -> Result:
        async with coordinator(cluster) as (stub, _):
            return await question(stub)

    return asyncio.run(run())


async def stages(stub: "SearchServiceAsyncStub", asked: SearchRequest) -> list[SearchResponse]:
    """Return the answers of a progressive search."""
    return [message.response async for message in stub.ProgressiveSearch(asked)]


def refused(
    cluster: Cluster, question: Callable[["SearchServiceAsyncStub"], Awaitable[Any]]
) -> tuple[str, str, str]:
    """Return (status code, reason, message) of a call that must fail."""
    with pytest.raises(grpc.RpcError) as failure:
        ask(cluster, question)
    error: Any = failure.value
    return error.code().name, reason_of(error), error.details()


def details(error: Any) -> dict[str, Any]:
    """Return the details of a failed call by type name."""
    packed = dict(error.trailing_metadata())["grpc-status-details-bin"]
    found = {}
    for detail in status_pb2.Status.FromString(packed).details:
        name = detail.TypeName().rsplit(".", 1)[1]
        message = getattr(error_details_pb2, name)()
        detail.Unpack(message)
        found[name] = message
    return found


@contextmanager
def written(logger: str, at: int = logging.INFO) -> Iterator["queue.SimpleQueue[dict[str, Any]]"]:
    """Yield a queue of the lines that a logger writes, as they are read from a service's stderr."""
    lines: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            # Formatted where it is written, because the request id is the writer's.
            lines.put(json.loads(JsonFormatter().format(record)))

    log, handler = logging.getLogger(logger), Handler()
    level = log.level
    log.addHandler(handler)
    log.setLevel(at)
    try:
        yield lines
    finally:
        log.removeHandler(handler)
        log.setLevel(level)


def lines_of(lines: "queue.SimpleQueue[dict[str, Any]]", *requests: str) -> Iterator[dict[str, Any]]:
    """Yield the lines of these requests alone: that of an earlier call comes after its answer has gone."""
    while True:
        line = lines.get(timeout=300)
        if line["request_id"] in requests:
            yield line


def write_topology(cluster: Cluster, path: Path, **coordinator: Any) -> Path:
    """Write the cluster's topology as a file; free ports for the coordinator."""
    lines = [f"collection = {json.dumps(str(cluster.topology.collection))}"]
    lines += [f"collections = {json.dumps([str(one) for one in cluster.topology.collections])}"]
    lines += ["[coordinator]"]
    settings = {"listen": "127.0.0.1:0", "admin": "127.0.0.1:0", **coordinator}
    lines += [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
    for index in cluster.topology.index:
        lines += ["[[index]]", f"shard = {index.shard}", f'listen = "{index.listen}"']
    for ranker in cluster.topology.ranker:
        lines += ["[[ranker]]", f'listen = "{ranker.listen}"']
    if cluster.topology.library:
        lines += ["[library]", f'listen = "{cluster.topology.library.listen}"']
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


@contextmanager
def process(cluster: Cluster, folder: Path, **settings: Any) -> Iterator[dict[str, Any]]:
    """Run the coordinator as a process until searches can be answered; yield its ready line."""
    topology = write_topology(cluster, folder / "topology.toml", **settings)
    log, options = folder / "coordinator.jsonl", ("--config", str(topology))
    with part(log, "coordinator", coordinating.serve, *options) as running:
        ready = json.loads(running.stdout.readline())
        assert ready["ready"], ready
        assert json.loads(running.stdout.readline()) == {"healthy": True}
        yield ready
        running.send_signal(signal.SIGINT)
        assert running.wait(timeout=300) == 0
