"""A real index worker process, spoken to over gRPC."""

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from engine import versions, wire
from engine.corpus import open_corpus
from engine.protocol import PROTOCOL
from spr.internal.v1 import index_shard_service_pb2 as pb
from spr.internal.v1.index_shard_service_pb2_grpc import IndexShardServiceStub
from spr.internal.v1.version_service_pb2 import DrainRequest
from spr.internal.v1.version_service_pb2_grpc import VersionServiceStub
from tests import numeric
from tests.workers.index.asking import DIM, ONE, VIDEOS, ask, refusal, request
from tests.workers.index.corpora import rows_of
from tests.workers.index.factories import merged, pairs, unit
from tests.workers.index.running import start, stop
from workers.index.shard import ShardOpener


@pytest.fixture(scope="module")
def workers(folder: Path) -> Iterator[list[grpc.Channel]]:
    started = [start(folder, f"shard-0000{number}") for number in range(2)]
    channels = [grpc.insecure_channel(ready["address"]) for _, ready in started]
    yield channels
    for channel in channels:
        channel.close()
    assert [stop(process) for process, _ in started] == [0, 0]


def test_both_shards_together_equal_brute_force(folder: Path, workers: list[grpc.Channel]) -> None:
    matrix, videos, segments = rows_of(VIDEOS)
    names = list(zip(videos.tolist(), segments.tolist(), strict=True))
    queries = matrix[::9]
    answers = [ask(channel, request(folder, queries, 10, i)) for i, channel in enumerate(workers)]
    for query, hits in zip(queries, (merged(two, 10) for two in zip(*answers, strict=True)), strict=True):
        best = np.sort(matrix @ query)[::-1][:10]
        numeric.close(hits.scores, best)
        assert pairs(hits)[0] == names[int((matrix @ query).argmax())]


def test_the_answer_says_what_was_searched(folder: Path, workers: list[grpc.Channel]) -> None:
    about = versions.read(folder / "collection")
    query = unit(np.ones((1, DIM), np.float32))
    responses = [
        IndexShardServiceStub(channel).SearchSegments(request(folder, query, shard=i), timeout=300)
        for i, channel in enumerate(workers)
    ]
    assert [response.shard for response in responses] == ["shard-00000", "shard-00001"]
    assert {response.generation for response in responses} == {about.id}
    assert sum(response.videos_searched for response in responses) == about.videos
    assert all(wire.duration_from_pb(response.search_time) > 0 for response in responses)


def test_searches_that_come_together_are_answered_or_refused_as_each_alone(
    folder: Path, workers: list[grpc.Channel]
) -> None:
    stub = IndexShardServiceStub(workers[0])
    queries = unit(np.random.default_rng(0).standard_normal((3, 1, DIM)).astype(np.float32))
    good = [request(folder, query) for query in queries]
    found = stub.SearchTogether(
        pb.SearchTogetherRequest(requests=[good[0], request(folder, ONE, shard=1), *good[1:]]), timeout=300
    )
    refused = found.outcomes.pop(1).status
    alone = [stub.SearchSegments(one, timeout=300) for one in good]
    together = [outcome.response for outcome in found.outcomes]
    for answers in alone, together:
        for answer in answers:
            answer.ClearField("search_time")
    assert together == alone
    code, reason = refusal(workers[0], request(folder, ONE, shard=1))
    assert (refused.code, reason in str(refused.details)) == (grpc.StatusCode[code].value[0], True)
    with pytest.raises(grpc.RpcError) as many:
        stub.SearchTogether(pb.SearchTogetherRequest(requests=good[:1] * 65), timeout=300)
    assert many.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_few_lists_give_a_short_answer_without_made_up_hits(
    folder: Path, workers: list[grpc.Channel]
) -> None:
    queries = unit(np.ones((2, DIM), np.float32))
    about = versions.read(folder / "collection")
    for i, (channel, shard) in enumerate(zip(workers, about.shards, strict=True)):
        message, whole = request(folder, queries, 500, i, nprobe=1), request(folder, queries, 500, i)
        for few, everything in zip(ask(channel, message), ask(channel, whole), strict=True):
            assert len(set(pairs(few))) == len(few) < len(everything) == shard.segments


def test_half_precision_queries_are_taken(folder: Path, workers: list[grpc.Channel]) -> None:
    query = next(iter(VIDEOS.values()))[:1]
    full, half = (ask(workers[0], request(folder, q))[0] for q in (query, query.astype(np.float16)))
    numeric.close(full.scores, half.scores, 2e-3, scale=1)


@pytest.mark.parametrize(
    ("queries", "changes", "refused"),
    [
        (ONE, {"shard": 1}, ("FAILED_PRECONDITION", "SHARD_MISMATCH")),
        (ONE * 1e30, {}, ("INVALID_ARGUMENT", "BAD_PARAMETER")),
        (ONE, {"generation": "0" * 16}, ("FAILED_PRECONDITION", "GENERATION_MISMATCH")),
        (ONE, {"generation": ""}, ("FAILED_PRECONDITION", "GENERATION_MISMATCH")),
        (ONE, {"model_id": "other/mean-pool"}, ("FAILED_PRECONDITION", "MODEL_MISMATCH")),
        (ONE, {"model_id": ""}, ("FAILED_PRECONDITION", "MODEL_MISMATCH")),
        (np.ones((1, DIM + 1), np.float32), {}, ("INVALID_ARGUMENT", "TENSOR_SIZE_MISMATCH")),
        (np.ones(DIM, np.float32), {}, ("INVALID_ARGUMENT", "TENSOR_SIZE_MISMATCH")),
        (ONE * np.inf, {}, ("INVALID_ARGUMENT", "BAD_PARAMETER")),
        (ONE, {"top_k": 0}, ("INVALID_ARGUMENT", "BAD_PARAMETER")),
        (ONE, {"nprobe": 0}, ("INVALID_ARGUMENT", "BAD_PARAMETER")),
        (ONE[:0], {}, ("INVALID_ARGUMENT", "BAD_PARAMETER")),
        (np.ones((64, DIM), np.float32), {"top_k": 2000}, ("INVALID_ARGUMENT", "BAD_PARAMETER")),
    ],
)
def test_wrong_questions_are_refused_with_a_reason(
    folder: Path,
    workers: list[grpc.Channel],
    queries: np.ndarray,
    changes: dict[str, Any],
    refused: tuple[str, str],
) -> None:
    assert refusal(workers[0], request(folder, queries, **{"top_k": 5, **changes})) == refused


def test_a_tensor_shorter_than_its_shape_is_refused(folder: Path, workers: list[grpc.Channel]) -> None:
    message = request(folder, ONE)
    message.queries.tensor.data = message.queries.tensor.data[:-1]
    assert refusal(workers[0], message) == ("INVALID_ARGUMENT", "TENSOR_SIZE_MISMATCH")


def test_concurrent_searches_are_not_mixed_up(folder: Path, workers: list[grpc.Channel]) -> None:
    queries = rows_of(VIDEOS)[0][:40]
    alone = [ask(workers[0], request(folder, query[None]))[0] for query in queries]
    with ThreadPoolExecutor(6) as pool:
        together = list(pool.map(lambda query: ask(workers[0], request(folder, query[None]))[0], queries))
    assert [pairs(hits) for hits in together] == [pairs(hits) for hits in alone]


def test_info_says_what_the_worker_holds(folder: Path, workers: list[grpc.Channel]) -> None:
    about = versions.read(folder / "collection")
    for number, channel in enumerate(workers):
        info = IndexShardServiceStub(channel).GetShardInfo(pb.GetShardInfoRequest(), timeout=300)
        entry = about.shards[number]
        (held,) = info.held
        assert (info.shard, held.videos, held.segments) == (entry.name, entry.videos, entry.segments)
        assert (held.version, held.embedding_model) == (about.id, about.embedding_model)
        assert (held.collection, held.parts, held.fault) == ("tiny", len(entry.parts), "")
        assert (held.index_factory, info.device) == (about.factory, "cpu")
        assert held.quantizer_sha256 == about.quantizer_sha256
        assert info.faiss_version
        assert info.bytes_resident > 1 << 20


def test_the_worker_is_healthy_and_has_no_torch(folder: Path, workers: list[grpc.Channel]) -> None:
    stub: Any = health_pb2_grpc.HealthStub(workers[0])
    question = health_pb2.HealthCheckRequest(service="spr.internal.v1.IndexShardService")
    assert stub.Check(question, timeout=300).status == health_pb2.HealthCheckResponse.SERVING
    script = "import sys, workers.index.servicer, workers.index.__main__; print('torch' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"


def test_a_worker_searches_what_the_shard_does(folder: Path, workers: list[grpc.Channel]) -> None:
    queries = unit(np.random.default_rng(3).standard_normal((5, DIM)).astype(np.float32))
    shard = ShardOpener("shard-00001", "cpu")(open_corpus(folder / "collection"))
    for expected, found in zip(
        shard.search(queries, 7), ask(workers[1], request(folder, queries, 7, 1)), strict=True
    ):
        assert pairs(expected) == pairs(found)
        np.testing.assert_array_equal(expected.scores, found.scores)


def test_a_draining_worker_answers_probes_and_nothing_else(folder: Path, workers: list[grpc.Channel]) -> None:
    versions_of = VersionServiceStub(workers[0])
    report = versions_of.Drain(DrainRequest(), timeout=300).report
    assert (report.protocol, report.draining, report.calls_in_flight) == (PROTOCOL, True, 0)
    assert refusal(workers[0], request(folder, ONE)) == ("UNAVAILABLE", "DRAINING")
    info = IndexShardServiceStub(workers[0]).GetShardInfo(pb.GetShardInfoRequest(), timeout=300)
    assert info.report == report
    assert not versions_of.Drain(DrainRequest(undo=True), timeout=300).report.draining
    assert ask(workers[0], request(folder, ONE))
