"""A ranker worker's process: `python -m workers.ranker --config topology.toml [--listen HOST:PORT]`."""

import sys

import grpc.aio
import torch

from engine import manifest, serving
from engine.config import RankerWorkerConfig, Topology
from spr.internal.v1 import encoder_service_pb2, ranker_service_pb2
from spr.internal.v1.encoder_service_pb2_grpc import add_EncoderServiceServicer_to_server
from spr.internal.v1.ranker_service_pb2_grpc import add_RankerServiceServicer_to_server
from workers.ranker.encoder import text_precision
from workers.ranker.encoder.encoder import Encoder
from workers.ranker.encoder.known_queries import KnownQueries
from workers.ranker.models import Models, use_threads
from workers.ranker.scorer import Scorer
from workers.ranker.servicer import EncoderServicer, RankerServicer

ENCODER = encoder_service_pb2.DESCRIPTOR.services_by_name["EncoderService"].full_name
RANKER = ranker_service_pb2.DESCRIPTOR.services_by_name["RankerService"].full_name
TEXT_TOWERS = "models/text"  # in the collection


def serve(topology: Topology, worker: RankerWorkerConfig) -> None:
    """Load the generation's models and features, warm up, serve until a signal."""
    use_threads(worker.threads)
    models = Models.open(manifest.generation_dir(topology.collection, topology.generation), worker.device)
    if isinstance(models.encoder, Encoder):
        models.encoder.hold_text_weights()
    precision = _text_precision(models, topology, worker)
    scorer = Scorer(
        models,
        max_batch=worker.max_batch,
        max_delay=worker.max_delay_ms / 1000,
        cached=worker.cache_texts,
        cached_bytes=worker.cache_mb << 20,
    )
    scorer.warm_up()

    def add_services(server: grpc.aio.Server) -> list[str]:
        add_EncoderServiceServicer_to_server(EncoderServicer(scorer), server)
        add_RankerServiceServicer_to_server(RankerServicer(scorer), server)
        return [ENCODER, RANKER]

    about = {
        "generation": models.manifest.id,
        "ranker_model": models.ranker.name,
        "device": str(models.device),
        "text_precision": precision,
        # Weighed once: a restart answers sooner, and in the same numbers.
        "settled": {"text_precision": precision} if precision in text_precision.PRECISIONS else {},
    }
    served = serving.Worker(
        role="ranker",
        add_services=add_services,
        max_in_flight=worker.max_in_flight,
        ready=about,
        # The encoder is in memory as a whole: its service stays healthy.
        watch=lambda set_unfit: models.watch.start(lambda: set_unfit(RANKER)),
    )
    serving.serve_worker(served, worker.listen)


def _text_precision(models: Models, topology: Topology, worker: RankerWorkerConfig) -> str:
    """Settle in which numbers texts are encoded; see text_precision.py."""
    if isinstance(models.encoder, KnownQueries):
        return "stored"
    kept = (
        topology.path.parent / worker.text_cache if worker.text_cache else topology.collection / TEXT_TOWERS
    )
    return text_precision.choose(models.encoder, worker.text_precision, kept, torch.get_num_threads())


if __name__ == "__main__":
    sys.exit(serving.main("ranker", serve))
