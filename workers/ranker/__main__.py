"""A ranker worker's process: `python -m workers.ranker --config topology.toml [--listen HOST:PORT]`."""

import sys

import grpc

from engine import manifest, serving
from engine.config import RankerConfig, Topology
from spr.internal.v1 import encoder_service_pb2, ranker_service_pb2
from spr.internal.v1.encoder_service_pb2_grpc import add_EncoderServiceServicer_to_server
from spr.internal.v1.ranker_service_pb2_grpc import add_RankerServiceServicer_to_server
from workers.ranker.models import Models, use_threads
from workers.ranker.scorer import Scorer
from workers.ranker.servicer import EncoderServicer, RankerServicer


def serve(topology: Topology, worker: RankerConfig) -> None:
    """Load the generation's models and features, warm up, serve until a signal."""
    use_threads(worker.threads)
    models = Models.open(manifest.generation_dir(topology.collection, topology.generation), worker.device)
    scorer = Scorer(models, max_batch=worker.max_batch, max_delay=worker.max_delay_ms / 1000)
    scorer.warm_up()

    def add_services(server: grpc.Server) -> list[str]:
        add_EncoderServiceServicer_to_server(EncoderServicer(scorer), server)
        add_RankerServiceServicer_to_server(RankerServicer(scorer), server)
        modules = (encoder_service_pb2, ranker_service_pb2)
        return [
            service.full_name for module in modules for service in module.DESCRIPTOR.services_by_name.values()
        ]

    about = {
        "generation": models.manifest.id,
        "ranker_model": models.ranker.name,
        "device": str(models.device),
    }
    serving.serve_sync(
        add_services, worker.listen, role="ranker", max_in_flight=worker.max_in_flight, ready=about
    )


if __name__ == "__main__":
    sys.exit(serving.main("ranker", serve))
