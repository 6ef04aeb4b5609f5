"""What queries of several parts say when something does not answer."""

from pathlib import Path
from typing import Any

import grpc
import pytest

from spr.v1 import types_pb2
from tests.engine.oracle import Cluster, RankerOracle, cluster
from tests.engine.test_composed import A, B, chains, composed, search


def test_a_lost_shard_lowers_the_coverage(tmp_path: Path) -> None:
    with cluster(tmp_path) as workers:
        whole = search(workers, composed(A, B))
        workers.shards[1][0].refuses = grpc.StatusCode.UNAVAILABLE
        found = search(workers, composed(A, B))
    lost = {workers.corpus.ids()[number] for number in workers.corpus.of_shard(1)}
    assert found.coverage.ratio == 0.5
    assert list(found.coverage.unreachable) == ["shard-00001"]
    assert list(found.coverage.degraded) == [types_pb2.DEGRADED_REASON_SHARD_UNAVAILABLE]
    assert found.moments
    assert {video for video, _ in chains(found)} == {v for v, _ in chains(whole) if v not in lost}


@pytest.mark.parametrize("fails", [A, B, "night"])
def test_what_is_not_ranked_whole_is_coarse_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    rank: Any = RankerOracle.Rank

    def refusing(self: RankerOracle, request: Any, context: Any) -> Any:
        if fails.encode() in bytes(map(int, memoryview(request.token_states.data).cast("f"))):
            raise RuntimeError("secret detail")
        return rank(self, request, context)

    monkeypatch.setattr(RankerOracle, "Rank", refusing)
    with cluster(tmp_path) as workers:
        found = asked_without_night(workers)
        coarse = search(workers, composed(A, B, params={"rerank": False}))
    assert list(found.coverage.degraded) == [types_pb2.DEGRADED_REASON_RANKER_SKIPPED]
    assert chains(found) == chains(coarse)
    assert found.versions.ranker_model == ""


def asked_without_night(workers: Cluster) -> Any:
    asked = composed(A, B)
    asked.composed.parts[1].not_texts.append("night")
    return search(workers, asked)
