"""The library process: it takes jobs for a topology's collections, and works them off."""

import contextlib
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import grpc.aio
from prometheus_client.metrics_core import Metric

from engine import metrics, serving
from engine.admission import Admission
from engine.config import LibraryConfig, Topology
from engine.errors import InvalidInput
from engine.version_lock import only_library
from spr.internal.v1.library_service_pb2_grpc import add_LibraryServiceServicer_to_server
from trainer.library.jobs import Queue
from trainer.library.names import name_of
from trainer.library.renaming import Renaming
from trainer.library.roots import Roots, roots_of
from trainer.library.service import SERVICE, LibraryServicer
from trainer.library.standing import service as standing
from trainer.library.standing.running import Standing
from trainer.library.watching import Watching
from trainer.library.worker import Worker

if TYPE_CHECKING:
    from trainer.library.work import Work

IN_FLIGHT = 32
NICE = 5
PATIENCE = 8.0  # seconds for the job in hand to stop; the supervisor kills after 15


def main(argv: Sequence[str] | None = None) -> int:
    """Read the command line and serve; return the exit code."""
    return serving.main("library", serve, argv)


def serve(topology: Topology, about: LibraryConfig) -> None:
    """Serve until told to stop. The writer's lock of a collection is held while it is changed only."""
    # Searches come first.
    os.nice(NICE)
    with contextlib.ExitStack() as stack:
        queues: dict[Path, Queue] = {}
        for directory in topology.directories:
            stack.enter_context(only_library(directory))
            queue = Queue(directory, name_of(directory), about.max_queued)
            queues[directory] = stack.enter_context(contextlib.closing(queue))
        roots = roots_of(topology, about)
        worker = Worker(queues, lambda: _open_work(about, roots))
        keeper = stack.enter_context(contextlib.closing(Standing(topology, about, queues.values())))
        watching = Watching(about.watch, next(iter(queues.values())), worker.wake)

        def begin(_: object) -> None:
            for part in (worker, watching, keeper, Renaming(queues.values())):
                part.start()

        def add_services(server: grpc.aio.Server) -> list[str]:
            servicer = LibraryServicer(by_name(queues), worker.wake, roots)
            add_LibraryServiceServicer_to_server(servicer, server)
            return [SERVICE, keeper.serve(server)]

        served = serving.Worker(
            role="library",
            add_services=add_services,
            max_in_flight=IN_FLIGHT,
            pool=serving.threads(IN_FLIGHT),
            admissions={f"/{SERVICE}/GetLibraryInfo": Admission(IN_FLIGHT), **standing.admissions()},
            metrics=lambda: [*_metrics(queues.values()), *keeper.metrics()],
            watch=begin,
        )
        serving.serve_worker(served, about, topology)
        watching.stop()
        keeper.stop()
        if not worker.stop(PATIENCE):
            # A library of C is at work; what it does is done again. Its thread would hold up a normal exit.
            sys.stdout.flush()
            os._exit(0)


def by_name(queues: Mapping[Path, Queue]) -> dict[str, Queue]:
    """Return queues by their collections' names; InvalidInput where one would get the jobs of another."""
    found: dict[str, tuple[Path, Queue]] = {}
    for directory, queue in queues.items():
        other, _ = found.setdefault(queue.name, (directory, queue))
        if other is not directory:
            raise InvalidInput(
                f"two collections of the topology are named {queue.name!r}, {other} and {directory}; "
                "give one of them another name with `spr build DIR --name NAME`"
            )
    return {name: queue for name, (_, queue) in found.items()}


def _metrics(queues: Iterable[Queue]) -> Iterator[Metric]:
    known = list(queues)
    yield metrics.JOBS.samples(
        ((queue.name, state), count) for queue in known for state, count in queue.counts().items()
    )
    yield metrics.OLDEST_JOB.samples(((queue.name,), queue.oldest()) for queue in known)


def _open_work(about: LibraryConfig, roots: Roots) -> "Work":
    """Load what does the jobs; torch first, since FAISS brings an OpenMP runtime of its own."""
    import torch

    if about.threads:
        torch.set_num_threads(about.threads)

    from trainer.library.kits import Kits
    from trainer.library.work import Work

    return Work(Kits(about.device, about.threads), about.keep, roots)
