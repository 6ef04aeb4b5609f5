"""An index worker's process: `python -m workers.index --config topology.toml --name shard-00000`."""

import os
import sys

import grpc.aio

from engine import manifest, serving
from engine.config import IndexWorkerConfig, Topology
from spr.internal.v1 import index_shard_service_pb2
from spr.internal.v1.index_shard_service_pb2_grpc import add_IndexShardServiceServicer_to_server

SERVICE = index_shard_service_pb2.DESCRIPTOR.services_by_name["IndexShardService"].full_name


def serve(topology: Topology, worker: IndexWorkerConfig) -> None:
    """Open and verify the shard, serve until a signal."""
    # FAISS counts threads per Python thread; only the environment reaches all threads of the server.
    os.environ["OMP_NUM_THREADS"] = str(worker.threads or os.cpu_count() or 1)
    from workers.index.servicer import IndexShardServicer, open_shard

    generation = manifest.generation_dir(topology.collection, topology.generation)
    shard = open_shard(generation, worker.name, worker.device)

    def add_services(server: grpc.aio.Server) -> list[str]:
        add_IndexShardServiceServicer_to_server(IndexShardServicer(shard), server)
        return [SERVICE]

    about = {"generation": shard.manifest.id, "shard": worker.name, "device": shard.index.device}
    served = serving.Worker(
        role="index",
        add_services=add_services,
        max_in_flight=worker.max_in_flight,
        ready=about,
        watch=lambda set_unfit: shard.watch.start(lambda: set_unfit(SERVICE)),
    )
    serving.serve_worker(served, worker.listen)


if __name__ == "__main__":
    sys.exit(serving.main("index", serve))
