"""An index worker's process: `python -m workers.index --config topology.toml --name shard-00000`."""

import os
import sys

import grpc.aio

from engine import serving
from engine.config import IndexWorkerConfig, Topology
from engine.cores import cores
from spr.internal.v1 import index_shard_service_pb2
from spr.internal.v1.index_shard_service_pb2_grpc import add_IndexShardServiceServicer_to_server

CORES = cores()
SERVICE = index_shard_service_pb2.DESCRIPTOR.services_by_name["IndexShardService"].full_name


def serve(topology: Topology, worker: IndexWorkerConfig) -> None:
    """Open and verify the shard of every collection's current version, serve until a signal."""
    # FAISS counts threads per Python thread; only the environment reaches all threads of the server.
    os.environ["OMP_NUM_THREADS"] = str(worker.threads or CORES)
    from engine.mirrored import sources_of
    from engine.sources import Wants
    from engine.texts import TEXTS
    from workers import held_metrics, version_service
    from workers.duty import Duty
    from workers.index import lexicon, part
    from workers.index.servicer import IndexShardServicer
    from workers.index.shard import ShardOpener
    from workers.versions import Held

    wants = Wants(tuple(f"{name}/" for name in (part.DIRECTORY, *TEXTS)), [worker.name], lexicon.files_of)
    sources = sources_of(topology, wants)
    held = Held(topology.directories, ShardOpener(worker.name, worker.device), sources)
    held.prepare_current()
    versions = {about.collection: about.version for about in held.listing()}
    device = "gpu" if any(held.get(version).device == "gpu" for version in versions.values()) else "cpu"
    duty = Duty(lambda in_flight: max(0, in_flight - CORES))
    pool = serving.threads(lanes := _lanes(worker.threads))

    def add_services(server: grpc.aio.Server) -> list[str]:
        servicer = IndexShardServicer(held, worker.name, device, duty, pool, lanes)
        add_IndexShardServiceServicer_to_server(servicer, server)
        return [SERVICE, version_service.add_version_service(server, held, duty)]

    served = serving.Worker(
        role="index",
        add_services=add_services,
        max_in_flight=worker.max_in_flight,
        metrics=lambda: held_metrics.read(held),
        pool=pool,
        admissions=version_service.admissions(f"/{SERVICE}/GetShardInfo"),
        ready={"versions": versions, "shard": worker.name, "device": device},
        watch=lambda set_fit: held.start(lambda fit: set_fit(SERVICE, fit)),
    )
    serving.serve_worker(served, worker, topology)


def _lanes(threads: int) -> int:
    """Return how many searches of so many OpenMP threads compute at once: more only share the cores.

    Two at least: one may wait for a page of a mapped file.
    """
    return max(2, CORES // max(1, threads))


if __name__ == "__main__":
    sys.exit(serving.main("index", serve))
