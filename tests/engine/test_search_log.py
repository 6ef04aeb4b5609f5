"""What a search leaves behind: the slow-query log, and the coordinator's metrics."""

import asyncio
import itertools
import logging
from pathlib import Path
from typing import Any

import grpc
import pytest

from engine import metrics
from engine.replica_health import EJECT_AFTER
from tests.engine.asking import TEXT, request, search
from tests.engine.oracle import Cluster, cluster
from tests.engine.running import ask, coordinator, lines_of, written


def value(name: str, **labels: str) -> float:
    """Return a sample of this process, 0 where there is none."""
    return metrics.REGISTRY.get_sample_value(name, labels) or 0.0


def test_a_slow_search_is_told_with_its_stages_and_with_its_text_if_configured(tmp_path: Path) -> None:
    with cluster(tmp_path, slow_query=1e-9, log_queries=True) as workers, written("spr.search") as lines:
        name = workers.corpus.name
        before = value("spr_slow_searches_total", collection=name)
        ask(workers, lambda stub: stub.Search(request()))
        line = lines.get(timeout=60)
        for (worker,) in workers.shards:
            worker.refuses = grpc.StatusCode.UNAVAILABLE
        with pytest.raises(grpc.RpcError):
            ask(workers, lambda stub: stub.Search(request()))
        failed = lines.get(timeout=60)
    assert (line["level"], line["message"]) == ("warning", "slow search")
    assert set(line["ms"]) == {*metrics.STAGES, "shard-00000", "shard-00001"}
    assert (line["query"], line["collection"], line["version"]) == (TEXT, name, workers.corpus.version)
    assert line["proposals"] > 0
    assert (failed["message"], failed["reason"], failed["query"]) == ("slow search failed", "NO_SHARDS", TEXT)
    assert value("spr_slow_searches_total", collection=name) == before + 2


def test_the_state_of_workers_versions_and_answers_is_exported(tmp_path: Path) -> None:
    async def run(workers: Cluster) -> tuple[dict[tuple[str, ...], float], Any]:
        async with coordinator(workers) as (stub, running):
            answer = await stub.Search(request())
            await running._monitor.look()
            state = {
                (family.name, *sample.labels.values()): sample.value
                for family in running._read_metrics()
                for sample in family.samples
            }
            return state, answer

    with cluster(tmp_path) as workers:
        name, version = workers.corpus.name, workers.corpus.version
        lost = workers.topology.index[1].target
        workers.kill(lost)
        labels = {"collection": name, "reason": "SHARD_UNAVAILABLE"}
        before = value("spr_degraded_answers_total", **labels)
        state, answer = asyncio.run(run(workers))
        assert value("spr_degraded_answers_total", **labels) == before + 1
    assert state["spr_searches", name, "degraded"] == 1
    assert state["spr_searches", name, "whole"] == 0
    assert state["spr_coverage_ratio", name] == pytest.approx(answer.coverage.ratio)
    assert 0 < state["spr_coverage_ratio", name] < 1
    assert state["spr_worker_serving", "index", "shard-00001", lost] == 0
    assert state["spr_replica_state", "shard-00000", workers.topology.index[0].target, "healthy"] == 1
    assert state["spr_version_info", name, version, "active"] == 1
    assert state["spr_version_current", name] == 1
    assert state["spr_admission_limit", name] == workers.topology.coordinator.max_in_flight
    assert state["spr_admission_used", name] == 0


def test_what_is_done_for_bad_replicas_is_counted(tmp_path: Path) -> None:
    async def run(stub: Any) -> None:
        for number in range(8):
            await search(stub, text=f"{TEXT} {number}")  # none of which is remembered

    def counts(worker: str) -> list[float]:
        return [value(f"spr_{what}_total", worker=worker) for what in ("hedges", "retries", "ejections")]

    with cluster(tmp_path, replicas=2, hedge_after=0.05) as workers:
        workers.shards[0][0].held.open.clear()  # silent
        workers.shards[1][1].refuses = grpc.StatusCode.CANCELLED
        before = [counts(name) for name in ("shard-00000", "shard-00001")]
        ask(workers, run)
        after = [counts(name) for name in ("shard-00000", "shard-00001")]
    silent, refusing = (
        [int(b - a) for a, b in zip(*pair, strict=True)] for pair in zip(before, after, strict=True)
    )
    assert silent[0] >= 1
    assert refusing[1] >= EJECT_AFTER
    assert refusing[2] >= 1


def test_a_method_that_a_caller_invents_is_no_label(tmp_path: Path) -> None:
    async def invent(workers: Cluster) -> None:
        async with (
            coordinator(workers) as (_, running),
            grpc.aio.insecure_channel(running.address) as channel,
        ):
            for number in range(3):
                invented: Any = channel.unary_unary(f"/spr.v1.SearchService/Invented{number}")
                with pytest.raises(grpc.RpcError):
                    await invented(b"")

    with cluster(tmp_path) as workers:
        before = value("spr_rpcs_total", method="unknown", code="UNIMPLEMENTED")
        asyncio.run(invent(workers))
    assert value("spr_rpcs_total", method="unknown", code="UNIMPLEMENTED") == before + 3
    methods = {s.labels["method"] for family in metrics.RPCS.collect() for s in family.samples}
    assert not any("Invented" in method for method in methods)


def test_every_line_of_a_call_has_its_request_and_trace_in_workers_too(tmp_path: Path) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"

    async def search(stub: Any) -> None:
        metadata = (("traceparent", f"00-{trace}-00f067aa0ba902b7-00"),)
        await stub.Search(request(request_id="one"), metadata=metadata)

    with cluster(tmp_path) as workers, written("spr.rpc", logging.DEBUG) as lines:
        ask(workers, search)
        of_call = list(itertools.islice(lines_of(lines, "one"), 5))
    called = sorted(line["message"].rpartition("/")[2] for line in of_call)
    assert called == ["Encode OK", "Rank OK", "Search OK", "SearchSegments OK", "SearchSegments OK"]
    assert {line["trace_id"] for line in of_call} == {trace}
