"""Requests to all methods of a running service: random bytes, random messages, nearly right ones."""

import contextlib
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import grpc
import numpy as np
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from engine import versions, wire
from engine.config import Topology
from engine.entries import Version
from engine.faults import reason_of
from spr.internal.v1 import (
    encoder_service_pb2,
    encoder_service_pb2_grpc,
    index_shard_service_pb2,
    ranker_service_pb2,
)
from spr.v1 import admin_service_pb2, search_service_pb2, types_pb2
from tests.system.random_messages import fill, spoil
from tests.workers.ranker.factories import TEXTS

OTHERS = (health_pb2, reflection_pb2)
SERVICES = (
    search_service_pb2,
    admin_service_pb2,
    index_shard_service_pb2,
    encoder_service_pb2,
    ranker_service_pb2,
)
PATIENCE = 20.0


@dataclass(frozen=True)
class Port:
    """Where a service listens, and right requests for its methods by their message's name."""

    channel: grpc.Channel
    services: tuple[Any, ...] = ()
    right: Mapping[str, Sequence[Message]] = field(default_factory=dict)


@dataclass
class Outcome:
    """What came back: codes, and every answer that is a defect of ours."""

    codes: Counter[str] = field(default_factory=Counter)
    defects: list[str] = field(default_factory=list)


def fuzz(ports: list[Port], count: int, seed: int, control: Callable[[], None]) -> Outcome:
    """Send `count` requests; `control` is called between some of them."""
    chance, outcome = random.Random(seed), Outcome()
    methods = [(port, method) for port in ports for method in _methods(port)]
    ours, others = ([pair for pair in methods if _foreign(pair[1]) == foreign] for foreign in (False, True))
    for number in range(count):
        if number % 100 == 0:
            control()
        port, method = chance.choice(others if chance.random() < 0.1 else ours)
        data = _request(chance, port, method)
        code, reason, told = _send(port.channel, method, data)
        outcome.codes[code] += 1
        undue = code in ("INTERNAL", "UNKNOWN", "UNAVAILABLE", "CANCELLED", "DEADLINE_EXCEEDED")
        # The service has no library process.
        undue = undue and reason != "NO_LIBRARY"
        if undue or (code != "OK" and not reason and not _foreign(method)):
            outcome.defects.append(f"{code} {reason} {method.full_name} {told[:200]} of {data[:200]!r}")
    control()
    return outcome


@contextlib.contextmanager
def ports_of(topology: Topology) -> Iterator[list[Port]]:
    """Yield all ports of a running service, with requests that each of them answers."""
    version = versions.read(topology.collection)
    with contextlib.ExitStack() as stack:

        def opened(address: str) -> grpc.Channel:
            return stack.enter_context(grpc.insecure_channel(address))

        ranker = opened(topology.ranker[0].target)
        encode = encoder_service_pb2.EncodeRequest(
            text=TEXTS[0], generation=version.id, embedding_model=version.embedding_model
        )
        encoded = encoder_service_pb2_grpc.EncoderServiceStub(ranker).Encode(encode, timeout=PATIENCE)
        rank = _rank(encoded, version)
        searches = [
            search_service_pb2.SearchRequest(text=TEXTS[0], page_size=2, request_id="fuzz"),
            search_service_pb2.SearchRequest(embedding=encoded.embedding),
        ]
        batch = search_service_pb2.BatchSearchRequest(requests=searches)
        public, admin = topology.coordinator.listen, topology.coordinator.admin
        right: dict[str, Sequence[Message]] = {"SearchRequest": searches, "BatchSearchRequest": [batch]}
        ports = [
            Port(opened(public), (search_service_pb2,), right),
            Port(opened(admin), (admin_service_pb2,)),
        ]
        for index in topology.index:
            asked = _search_segments(encoded, version, index.name)
            right = {"SearchSegmentsRequest": [asked]}
            ports.append(Port(opened(index.target), (index_shard_service_pb2,), right))
        services = (encoder_service_pb2, ranker_service_pb2)
        yield [*ports, Port(ranker, services, {"EncodeRequest": [encode], "RankRequest": [rank]})]


def _rank(encoded: Any, version: Version) -> Message:
    return ranker_service_pb2.RankRequest(
        generation=version.id,
        embedding_model=version.embedding_model,
        token_states=encoded.token_states,
        text_embedding=encoded.text_embedding,
        video_ordinals=wire.ints_to_bytes(np.arange(3)),
        spans=wire.doubles_to_bytes(np.array([[8.0, 16.0], [4.0, 8.0], [0.0, 3.0]])),
        scores=wire.floats_to_bytes(np.ones(3)),
    )


def _search_segments(encoded: Any, version: Version, shard: str) -> Message:
    row = wire.tensor_from_pb(encoded.embedding.tensor, [version.dim], "embedding")[None]
    vectors = types_pb2.Embedding(tensor=wire.tensor_to_pb(row), model_id=version.embedding_model)
    return index_shard_service_pb2.SearchSegmentsRequest(
        generation=version.id, shard=shard, queries=vectors, top_k=5
    )


def _methods(port: Port) -> Iterator[MethodDescriptor]:
    for module in (*port.services, *OTHERS):
        for service in module.DESCRIPTOR.services_by_name.values():
            yield from service.methods


def _foreign(method: MethodDescriptor) -> bool:
    return not method.full_name.startswith("spr.")


def _request(chance: random.Random, port: Port, method: MethodDescriptor) -> bytes:
    kind = chance.random()
    if kind < 0.15:
        return chance.randbytes(chance.choice([0, 1, 2, 8, 64, 1000]))
    message = GetMessageClass(method.input_type)()
    if kind < 0.45:
        fill(chance, message, 3)
        return message.SerializeToString()
    if method.input_type.name in port.right:
        message.CopyFrom(chance.choice(port.right[method.input_type.name]))
    for _ in range(chance.choice([0, 1, 1, 2])):
        spoil(chance, message)
    data = message.SerializeToString()
    return data[: chance.randrange(len(data))] if data and chance.random() < 0.05 else data


def _send(channel: grpc.Channel, method: MethodDescriptor, data: bytes) -> tuple[str, str, str]:
    """Return the status code, its reason and its message."""
    path = f"/{method.full_name.rpartition('.')[0]}/{method.name}"
    call: Any = channel
    try:
        if method.client_streaming:
            answers = call.stream_stream(path)(iter([data]), timeout=PATIENCE)
        elif method.server_streaming:
            answers = call.unary_stream(path)(data, timeout=PATIENCE)
        else:
            answers = iter([call.unary_unary(path)(data, timeout=PATIENCE)])
        # Watch never ends by itself.
        for number, _ in enumerate(answers, start=1):
            if method.name == "Watch" or number == 8:
                answers.cancel()
                break
    except grpc.RpcError as error:
        failed: Any = error
        return failed.code().name, reason_of(failed), failed.details() or ""
    return "OK", "", ""
