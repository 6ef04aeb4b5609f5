"""The life of a process: command line, topology, ready line, service, graceful shutdown.

A worker's __main__ is

    sys.exit(serving.main("index", serve))

where `serve(topology, worker)` loads what it needs and ends in `serve_worker(...)`. The process prints JSON
lines on stdout:

    {"ready": true, "role": "index", "address": "127.0.0.1:7410"}            once it serves
    {"ready": false, "role": "index", "error": "why", "exit_code": 3}        if it cannot
    {"healthy": true}       from a coordinator, when searches begin or cease to be answerable
    {"beat": true, "silent": {"127.0.0.1:7410": 3.1}, "topology": "1700000000-812-77"}
                            its heartbeat to a supervisor, with the seconds that workers have not answered,
                            and what the topology file looked like that it uses
    {"leaving": true}       it drains: the supervisor starts a successor
"""

import argparse
import asyncio
import contextlib
import dataclasses
import gc
import json
import signal
import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc.aio
import uvloop
from grpc_health.v1 import health
from prometheus_client.metrics_core import Metric

from engine import config, connections, control_pipe, exporter, logs, metrics, tracing
from engine.access import listeners, opened
from engine.admission import Admission
from engine.files import refusal_of
from engine.servers import NOT_SERVING, SERVING, add_probes, aio_server, bind

GRACE = 5.0  # seconds to finish calls in flight at the end
HANDOVER = 20.0  # seconds that a draining coordinator waits for its successor
ABOUT_WORKERS = "it is a worker's, for the coordinator alone; ask the coordinator, at port 7400 by default"


def main(role: str, serve: Callable[[config.Topology, Any], None], argv: Sequence[str] | None = None) -> int:
    """Read the command line, run `serve` with the topology and this worker's part, return the exit code.

    role: "coordinator", "index", "ranker", "encoder", "library" or "page".
    """
    options = _options(role, argv)
    try:
        given = options.config == control_pipe.STDIN
        topology = control_pipe.receive() if given else config.read(Path(options.config))
        logs.configure(topology.log_level)
        connections.raise_file_limit()
        topology = dataclasses.replace(topology, insecure=topology.insecure or options.insecure)
        part = select_part(topology, role, options.name, options.listen)
        # Before minutes of loading.
        listeners.check(topology, listens_of(part))
        with _observed(topology, role, part) as observed:
            serve(topology, observed)
    except Exception as error:
        if (refused := refusal_of(error)) is None:
            raise
        announce(ready=False, role=role, error=str(refused), exit_code=refused.exit_code)
        if not control_pipe.supervised:
            print(f"spr: {refused}", file=sys.stderr)
        return refused.exit_code
    except KeyboardInterrupt:
        return 130
    return 0


@contextlib.contextmanager
def _observed(topology: config.Topology, role: str, part: Any) -> Iterator[Any]:
    """Export metrics and record traces; yield the part with the address where its metrics are."""
    tracing.configure(topology.tracing, role, f"{part.name}@{part.listen}", topology.path)
    try:
        if part.metrics:
            metrics.describe(role, part.name, topology.directories)
            part = dataclasses.replace(part, metrics=exporter.listen(part.metrics, topology.takeover))
        yield part
    finally:
        tracing.close()


def threads(count: int) -> ThreadPoolExecutor:
    """Return a worker's pool: as many threads as compute at once; further calls wait in its queue."""
    return ThreadPoolExecutor(count, thread_name_prefix="work")


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """What a worker serves.

    add_services: registers the servicers and returns their full names. pool: threads for methods that are no
    coroutines; what waits for one is dropped when its caller goes.
    max_in_flight: the admission limit: more calls are refused with QUEUE_FULL. admissions: of
    methods that have a limit of their own. about: what the port is, for a caller who asks for something else.
    ready: fields of the ready line. metrics: reads what is exported beside what every process does. watch:
    starts what may find a service unfit, or fit again; it gets a function to call then, from any thread, with
    the service's name and whether it is fit.
    """

    role: str
    add_services: Callable[[grpc.aio.Server], Sequence[str]]
    max_in_flight: int
    pool: ThreadPoolExecutor = field(default_factory=lambda: threads(1))
    about: str = ABOUT_WORKERS
    ready: Mapping[str, Any] = field(default_factory=dict)
    admissions: Mapping[str, Admission] = field(default_factory=dict)
    metrics: Callable[[], Iterable[Metric]] = tuple
    watch: Callable[[Callable[[str, bool], None]], None] = lambda _: None


def serve_worker(worker: Worker, part: Any, topology: config.Topology) -> None:
    """Serve at the address of this part of the topology until SIGTERM or SIGINT, then drain and return."""
    uvloop.run(_serve_worker(worker, part, topology))
    worker.pool.shutdown(wait=False)


async def _serve_worker(worker: Worker, part: Any, topology: config.Topology) -> None:
    access = opened(topology.access)
    door = access.for_fleet() if access else None
    admission = Admission(worker.max_in_flight)
    server = aio_server(admission, worker.pool, worker.about, worker.admissions, door=door)
    names = list(worker.add_services(server))
    probes = add_probes(server, names)
    bound = bind(server, part.listen, door, topology.insecure)
    for name in (health.OVERALL_HEALTH, *names):
        await probes.set(name, SERVING)
    for name in names:
        metrics.bound(metrics.SERVING, name).set(1)
    queues = {"calls": admission, **{name.lstrip("/"): one for name, one in worker.admissions.items()}}
    metrics.State(lambda: [*metrics.admissions(queues), *worker.metrics()]).begin()
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    exporter.follow(loop)
    await server.start()
    worker.watch(lambda name, fit: _set_fit(loop, probes, name, fit))
    keep_loaded()
    about = {"metrics": part.metrics} if part.metrics else {}
    announce(ready=True, role=worker.role, address=bound, **about, **worker.ready)
    await stop.wait()
    for name in names:
        metrics.bound(metrics.SERVING, name).set(0)
    await probes.enter_graceful_shutdown()
    await server.stop(GRACE)


def _set_fit(
    loop: asyncio.AbstractEventLoop, probes: health.aio.HealthServicer, name: str, fit: bool
) -> None:
    metrics.bound(metrics.SERVING, name).set(fit)
    asyncio.run_coroutine_threadsafe(probes.set(name, SERVING if fit else NOT_SERVING), loop)


async def told_to_stop() -> Callable[[], Awaitable[None]]:
    """Handle SIGTERM and SIGINT from now on; return a coroutine function that waits for the time to stop.

    SIGTERM begins a handover: the supervisor starts a successor, and closes stdin (SIGINT) once that serves.
    SIGINT, and without a supervisor also SIGTERM, stops at once.
    """
    leave, stop = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    exporter.follow(loop)

    def stop_now() -> None:
        leave.set()
        stop.set()

    loop.add_signal_handler(signal.SIGTERM, leave.set)
    loop.add_signal_handler(signal.SIGINT, stop_now)

    async def wait() -> None:
        await leave.wait()
        if control_pipe.supervised and not stop.is_set():
            await asyncio.to_thread(exporter.close)
            announce(leaving=True)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(HANDOVER):
                    await stop.wait()

    return wait


def keep_loaded() -> None:
    """Freeze what is loaded now for the garbage collector: it lives until the end."""
    gc.collect()
    gc.freeze()


def announce(**fields: Any) -> None:
    """Print one line of JSON for whoever started this process."""
    print(json.dumps(fields), flush=True)


def beat(silent: Mapping[str, float], topology: str) -> None:
    """Send the heartbeat to the supervisor.

    silent: seconds without an answer by target. topology: mark of the topology file that is in use.
    """
    announce(beat=True, silent=silent, topology=topology)


def _options(role: str, argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=f"Run one {role} process of a topology.")
    parser.add_argument("--config", required=True, help="topology file; - for one line of JSON on stdin")
    parser.add_argument("--name", help="which one, e.g. shard-00000")
    parser.add_argument("--listen", help="which one, by its address; or another address for it")
    parser.add_argument("--insecure", action="store_true", help="listen beyond this machine without [access]")
    return parser.parse_args(argv)


def listens_of(part: Any) -> list[str]:
    """Return the addresses at which a part of a topology listens."""
    return [part.listen, *([part.admin] if isinstance(part, config.CoordinatorConfig) else [])]


def select_part(topology: config.Topology, role: str, name: str | None, listen: str | None) -> Any:
    """Return the part of a topology that a role, a name and an address name; InvalidInput if not one."""
    if role == "index":
        return config.select(topology.index, name, listen)
    if role == "ranker":
        return config.select(topology.ranker, name, listen)
    if role == "encoder":
        return config.select(topology.encoder, name, listen)
    if role == "library":
        return config.select([topology.library] if topology.library else [], name, listen)
    if role == "page":
        return config.select([topology.page] if topology.page else [], name, listen)
    each = [one for front in topology.coordinators for one in front.each] if name else topology.coordinators
    return config.select(each, name, listen)
