"""A ranker worker's process: `python -m workers.ranker --config topology.toml [--listen HOST:PORT]`."""

import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import grpc.aio
import torch

from engine import serving, versions
from engine.config import EncoderWorkerConfig, RankerWorkerConfig, Topology
from engine.entries import Version
from engine.mirrored import sources_of
from engine.sources import Source, Wants
from spr.internal.v1 import encoder_service_pb2, ranker_service_pb2
from spr.internal.v1.encoder_service_pb2_grpc import add_EncoderServiceServicer_to_server
from spr.internal.v1.ranker_service_pb2_grpc import add_RankerServiceServicer_to_server
from workers import held_metrics
from workers.duty import Duty
from workers.ranker.encoder import text_precision
from workers.ranker.encoder.encoder import Encoder
from workers.ranker.models import SharedModels, use_threads
from workers.ranker.scorer import Limits, Scorer, Scorers
from workers.ranker.sentences import centre
from workers.ranker.servicer import EncoderServicer, RankerServicer
from workers.ranker.stores import contexts, features
from workers.version_service import add_version_service, admissions
from workers.versions import Held

ENCODER = encoder_service_pb2.DESCRIPTOR.services_by_name["EncoderService"].full_name
RANKER = ranker_service_pb2.DESCRIPTOR.services_by_name["RankerService"].full_name
TEXT_TOWERS = "models/text"  # in the collection


def serve(topology: Topology, worker: EncoderWorkerConfig) -> None:
    """Load every collection's current version, warm up, serve until a signal.

    An encoder is a ranker worker that holds no shard; where there is one, ranker workers encode nothing.
    """
    ranks = isinstance(worker, RankerWorkerConfig)
    use_threads(worker.threads)
    precisions: list[str] = []

    def settle(encoder: Encoder, collection: Path) -> None:
        encoder.hold_text_weights()
        precisions.append(_text_precision(encoder, collection, topology, worker))

    shards = worker.holds if isinstance(worker, RankerWorkerConfig) else frozenset[str]()
    encodes = not (ranks and topology.encoder)
    shared = SharedModels(worker.device, settle, shards, encodes)
    sources = _sources(topology, shards, encodes)
    held = Held(topology.directories, Scorers(shared, _limits(worker)).open, sources)
    held.prepare_current()
    device, precision = str(shared.device), precisions[0] if precisions else "stored"

    duty = Duty(lambda _: _waiting(held.contents()))

    def add_services(server: grpc.aio.Server) -> list[str]:
        add_EncoderServiceServicer_to_server(EncoderServicer(held, duty), server)
        add_RankerServiceServicer_to_server(RankerServicer(held, device, duty), server)
        return [ENCODER, RANKER, add_version_service(server, held, duty)]

    served = serving.Worker(
        role="ranker" if ranks else "encoder",
        add_services=add_services,
        max_in_flight=worker.max_in_flight,
        ready=_about(held, device, precision),
        metrics=lambda: held_metrics.read(held),
        admissions=admissions(f"/{RANKER}/GetRankerInfo"),
        # Encoders are in memory as a whole: their service stays healthy.
        watch=lambda set_health: held.start(lambda fit: set_health(RANKER, fit)),
    )
    serving.serve_worker(served, worker, topology)


def _sources(topology: Topology, shards: Collection[str] | None, encodes: bool) -> dict[Path, Source]:
    own, frames = (f"{contexts.DIRECTORY}/", f"{features.DIRECTORY}/"), (f"{features.DIRECTORY}/",)
    # What examples show is less the mean of all videos' frames, whoever holds them.
    return sources_of(topology, Wants(own, shards, _models, frames if encodes else ()))


def _models(version: Version) -> list[str]:
    return [*(entry.path for _, entry in versions.models_of(version)), *centre.files_of(version)]


def _about(held: Held[Scorer], device: str, precision: str) -> dict[str, Any]:
    return {
        "versions": [one.version for one in held.listing()],
        "device": device,
        "text_precision": precision,
        # Weighed once: a restart answers sooner, and in the same numbers.
        "settled": {"text_precision": precision} if precision in text_precision.PRECISIONS else {},
    }


def _waiting(scorers: Sequence[Scorer]) -> int:
    """Return the calls that wait for a batch; versions with the same models share the queues of texts."""
    texts = {id(scorer.texts): scorer.texts.waiting for scorer in scorers}
    sentences = {id(one): one.waiting for scorer in scorers if (one := scorer.sentences)}
    return sum(scorer.waiting for scorer in scorers) + sum((texts | sentences).values())


def _limits(worker: EncoderWorkerConfig) -> Limits:
    return Limits(
        max_batch=worker.max_batch,
        max_delay=worker.max_delay_ms / 1000,
        cached=worker.cache_texts,
        cached_bytes=worker.cache_mb << 20,
    )


def _text_precision(
    encoder: Encoder, collection: Path, topology: Topology, worker: EncoderWorkerConfig
) -> str:
    """Settle in which numbers texts are encoded; see text_precision.py."""
    kept = topology.path.parent / worker.text_cache if worker.text_cache else collection / TEXT_TOWERS
    return text_precision.choose(encoder, worker.text_precision, kept, torch.get_num_threads())


if __name__ == "__main__":
    sys.exit(serving.main("ranker", serve))
