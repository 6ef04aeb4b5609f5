"""A real ranker worker process, spoken to over gRPC."""

import functools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from engine import faults, serving, wire
from engine.errors import Mismatch
from spr.internal.v1 import encoder_service_pb2, ranker_service_pb2
from spr.internal.v1.encoder_service_pb2_grpc import EncoderServiceStub
from spr.internal.v1.ranker_service_pb2_grpc import RankerServiceStub
from spr.internal.v1.version_service_pb2 import DrainRequest
from spr.internal.v1.version_service_pb2_grpc import VersionServiceStub
from tests import apart, numeric
from tests.workers.ranker.factories import TEXTS, VIDEOS, WIDTH, tiny_collection
from workers.ranker.__main__ import serve
from workers.ranker.models import Models

TOPOLOGY = """
collection = "collection"
[[index]]
shard = 0
listen = "127.0.0.1:0"
[[ranker]]
listen = "127.0.0.1:0"
threads = 1
device = "cpu"
"""


def main(arguments: list[str]) -> int:
    """Be a ranker worker."""
    return serving.main("ranker", serve, arguments)


def start(folder: Path) -> tuple[BaseProcess, dict[str, Any]]:
    (folder / "topology.toml").write_text(TOPOLOGY)
    return apart.serving(folder, main, "--config", str(folder / "topology.toml"))


def stop(process: BaseProcess) -> int:
    process.terminate()
    return apart.ended(process)


@pytest.fixture(scope="module", params=[False, True], ids=["zero-shot", "trained"])
def worker(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("worker")
    made = tiny_collection(folder / "collection", trained=request.param, sentences=request.param)
    process, ready = start(folder)
    assert ready["ready"], ready
    with grpc.insecure_channel(ready["address"]) as channel:
        yield channel, Models.open(made.directory, device="cpu"), request.param
    assert stop(process) == 0


def encode(channel: grpc.Channel, text: str, **fields: Any) -> encoder_service_pb2.EncodeResponse:
    request = encoder_service_pb2.EncodeRequest(text=text, **{**served(channel), **fields})
    return EncoderServiceStub(channel).Encode(request, timeout=300)


@functools.cache
def served(channel: grpc.Channel) -> dict[str, str]:
    info = RankerServiceStub(channel).GetRankerInfo(ranker_service_pb2.GetRankerInfoRequest(), timeout=20)
    return {"generation": info.held[0].version, "embedding_model": info.held[0].embedding_model}


def rank_request(channel: grpc.Channel, **fields: Any) -> ranker_service_pb2.RankRequest:
    encoded = encode(channel, TEXTS[0])
    values: dict[str, Any] = {
        **served(channel),
        "token_states": encoded.token_states,
        "text_embedding": encoded.text_embedding,
        "video_ordinals": wire.ints_to_bytes(np.array([0, 1, 2])),
        "spans": wire.doubles_to_bytes(np.array([[8.0, 16.0], [4.0, 8.0], [0.0, 3.0]])),
        "scores": wire.floats_to_bytes(np.array([0.5, 0.4, 0.3])),
    }
    return ranker_service_pb2.RankRequest(**{**values, **fields})


def test_encode_gives_what_the_models_give(worker: Any) -> None:
    channel, models, _ = worker
    served = wire.encoded_from_pb(encode(channel, TEXTS[1]), WIDTH)
    (expected,) = models.encode([TEXTS[1]])
    numeric.close(served.embedding, expected.embedding)
    numeric.close(served.token_states, expected.token_states)
    numeric.close(served.text_embedding, expected.text_embedding)
    numeric.close(np.linalg.norm(served.embedding), 1)
    assert served.model_id == models.version.embedding_model


def test_a_sentence_is_encoded_where_it_is_asked_for(worker: Any) -> None:
    channel, models, trained = worker
    plain, answer = (encode(channel, TEXTS[1], sentence=asked) for asked in (False, True))
    assert (plain.HasField("sentence"), answer.HasField("sentence")) == (False, trained)
    if trained:
        sentence = wire.encoded_from_pb(answer, WIDTH, 16).sentence
        numeric.close(sentence, models.encode([TEXTS[1]])[0].sentence)
        # It reads 8 tokens, the text tower 24.
        told = [encode(channel, "a " * 7, sentence=asked).text_truncated for asked in (False, True)]
        assert told == [False, True]


def test_a_text_longer_than_the_tower_reads_is_told(worker: Any) -> None:
    channel, _, _ = worker
    assert not encode(channel, TEXTS[0]).text_truncated
    for _ in range(2):  # computed, and remembered
        assert encode(channel, "ball " * 30).text_truncated


def test_concurrent_texts_are_not_mixed_up(worker: Any) -> None:
    channel, models, _ = worker
    texts = [f"{text} {number}" for number in range(8) for text in TEXTS]
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda text: wire.encoded_from_pb(encode(channel, text), WIDTH), texts))
    for answer, expected in zip(answers, models.encode(texts), strict=True):
        numeric.close(answer.embedding, expected.embedding)


def test_rank_refines_every_proposal_inside_its_video(worker: Any) -> None:
    channel, models, trained = worker
    answer = RankerServiceStub(channel).Rank(rank_request(channel), timeout=300)
    spans = wire.doubles_from_bytes(answer.spans, "spans").reshape(-1, 2)
    scores = wire.doubles_from_bytes(answer.scores, "scores")
    assert len(spans) == len(scores) == len(answer.relevances) // 4 == len(answer.best) // 8 == 3
    assert (spans[:, 0] >= 0).all()
    assert (spans[:, 1] > spans[:, 0]).all()
    assert (spans[:, 1] <= list(VIDEOS.values())).all()
    assert answer.ranker_model == models.ranker.name
    if trained:
        assert answer.ranker_model.startswith("relo@")
    else:
        assert answer.ranker_model == "similarity-curve"
        numeric.close(spans[0], [12.0, 20.0], numeric.FLOAT64)
        assert scores.argmax() == 0


def test_info_names_the_models(worker: Any) -> None:
    channel, models, _ = worker
    info = RankerServiceStub(channel).GetRankerInfo(ranker_service_pb2.GetRankerInfoRequest(), timeout=300)
    (held,) = info.held
    assert (held.collection, held.version, held.videos) == ("default", models.corpus.id, 3)
    assert (held.segments, held.parts, held.fault) == (18, 1, "")
    assert held.embedding_model == models.version.embedding_model
    assert held.ranker_model == models.ranker.name
    assert info.device == "cpu"
    assert info.bytes_resident > 1 << 20


@pytest.mark.parametrize("name", ["EncoderService", "RankerService", "VersionService"])
def test_health(worker: Any, name: str) -> None:
    stub: Any = health_pb2_grpc.HealthStub(worker[0])
    answer = stub.Check(health_pb2.HealthCheckRequest(service=f"spr.internal.v1.{name}"), timeout=300)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


@pytest.mark.parametrize(
    ("fields", "code", "reason"),
    [
        ({"text": " \u200b"}, grpc.StatusCode.INVALID_ARGUMENT, "QUERY_EMPTY"),
        ({"text": "x" * 1001}, grpc.StatusCode.INVALID_ARGUMENT, "QUERY_TOO_LARGE"),
        (
            {"text": "a ball", "embedding_model": "other"},
            grpc.StatusCode.FAILED_PRECONDITION,
            "MODEL_MISMATCH",
        ),
        ({"text": "a ball", "generation": ""}, grpc.StatusCode.FAILED_PRECONDITION, "GENERATION_MISMATCH"),
    ],
)
def test_texts_that_are_refused(
    worker: Any, fields: dict[str, str], code: grpc.StatusCode, reason: str
) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        encode(worker[0], **fields)
    assert (caught.value.code(), faults.reason_of(caught.value)) == (code, reason)


def proposals(count: int) -> dict[str, bytes]:
    return {
        "video_ordinals": wire.ints_to_bytes(np.zeros(count, np.int32)),
        "spans": wire.doubles_to_bytes(np.tile([0.0, 3.0], (count, 1))),
        "scores": wire.floats_to_bytes(np.zeros(count)),
    }


def test_as_many_proposals_as_a_search_may_have_are_ranked(worker: Any) -> None:
    answer = RankerServiceStub(worker[0]).Rank(rank_request(worker[0], **proposals(2000)), timeout=20)
    assert len(answer.refined) == 2000


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"generation": "g0"}, "GENERATION_MISMATCH"),
        ({"embedding_model": ""}, "MODEL_MISMATCH"),
        (proposals(2001), "BAD_PARAMETER"),
        ({"spans": wire.doubles_to_bytes(np.array([[8.0, 1e300], [4, 8], [0, 3]]))}, "BAD_PARAMETER"),
        ({"scores": wire.floats_to_bytes(np.full(3, 1e30))}, "BAD_PARAMETER"),
        ({"token_states": wire.tensor_to_pb(np.zeros((1025, WIDTH), np.float32))}, "TENSOR_SIZE_MISMATCH"),
        ({"token_states": wire.tensor_to_pb(np.full((2, WIDTH), 1e30, np.float32))}, "BAD_PARAMETER"),
        ({"scores": wire.floats_to_bytes(np.zeros(2))}, "TENSOR_SIZE_MISMATCH"),
        ({"spans": b"12345"}, "TENSOR_SIZE_MISMATCH"),
        ({"video_ordinals": wire.ints_to_bytes(np.array([0, 1, 3]))}, "BAD_PARAMETER"),
        ({"video_ordinals": wire.ints_to_bytes(np.array([0, -1, 2]))}, "BAD_PARAMETER"),
        ({"spans": wire.doubles_to_bytes(np.array([[8.0, 8.0], [4.0, 8.0], [0.0, 3.0]]))}, "BAD_PARAMETER"),
        ({"spans": wire.doubles_to_bytes(np.array([[8.0, np.nan], [4, 8], [0, 3]]))}, "BAD_PARAMETER"),
        ({"text_embedding": wire.tensor_to_pb(np.zeros(3, np.float32))}, "TENSOR_SIZE_MISMATCH"),
        ({"token_states": wire.tensor_to_pb(np.zeros((2, 3), np.float32))}, "TENSOR_SIZE_MISMATCH"),
    ],
)
def test_proposals_that_are_refused(worker: Any, fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        RankerServiceStub(worker[0]).Rank(rank_request(worker[0], **fields), timeout=300)
    assert faults.reason_of(caught.value) == reason


def test_no_proposals_are_no_moments(worker: Any) -> None:
    request = rank_request(worker[0], video_ordinals=b"", spans=b"", scores=b"")
    assert RankerServiceStub(worker[0]).Rank(request, timeout=300).spans == b""


def test_a_wrong_encoder_is_refused_with_the_reason(tmp_path: Path) -> None:
    tiny_collection(tmp_path / "collection", trained=False, fingerprint="0123456789abcdef")
    process, said = start(tmp_path)
    assert apart.ended(process) == Mismatch.exit_code
    assert not said["ready"]
    assert "models/encoder/tiny has fingerprint" in said["error"]
    assert "was built with 0123456789abcdef" in said["error"]


def test_a_draining_worker_neither_encodes_nor_ranks(worker: Any) -> None:
    channel, _, _ = worker
    wanted = rank_request(channel)
    VersionServiceStub(channel).Drain(DrainRequest(), timeout=300)
    for call in (lambda: encode(channel, TEXTS[0]), lambda: RankerServiceStub(channel).Rank(wanted)):
        with pytest.raises(grpc.RpcError) as refused:
            call()
        error: Any = refused.value
        assert (error.code(), faults.reason_of(error)) == (grpc.StatusCode.UNAVAILABLE, "DRAINING")
    report = VersionServiceStub(channel).Drain(DrainRequest(undo=True), timeout=300).report
    assert (report.draining, report.calls_in_flight, report.calls_waiting) == (False, 0, 0)
    assert RankerServiceStub(channel).Rank(wanted).refined
