"""`spr admin status --watch` and `spr admin drain` against a coordinator over brute-force workers."""

import json
import re
from collections.abc import Iterator

import grpc
import pytest
from click.testing import CliRunner, Result

from spr.v1.search_service_pb2_grpc import SearchServiceStub
from spr_cli import admin
from tests.engine.asking import request
from tests.engine.oracle import Cluster, cluster
from tests.engine.running import process


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Cluster, str]]:
    folder = tmp_path_factory.mktemp("status")
    with cluster(folder, replicas=2, rankers=2) as workers, process(workers, folder) as ready:
        with grpc.insecure_channel(ready["address"]) as channel:
            for number in range(4):
                SearchServiceStub(channel).Search(request(f"a red ball {number}"), timeout=300)
        yield workers, ready["admin"]


def run(service: tuple[Cluster, str], *words: str) -> Result:
    return CliRunner().invoke(admin.command, [*words, "--address", service[1]])


def test_watching_in_a_pipe_prints_plain_blocks(service: tuple[Cluster, str]) -> None:
    shown = run(service, "status", "--watch", "--interval", "0.1", "--count", "2")
    assert shown.exit_code == 0
    assert "\x1b" not in shown.stdout
    blocks = shown.stdout.strip().split("\n\n")
    assert len(blocks) == 2
    for block in blocks:
        lines = block.splitlines()
        heading = next(line for line in lines if line.startswith("worker"))
        assert (
            heading.split() == "worker target state version videos calls/s p50 p99 open queue memory".split()
        )
        assert [line.split()[0] for line in lines if line.startswith(("shard", "ranker"))] == [
            "shard-00000",
            "shard-00000",
            "shard-00001",
            "shard-00001",
            "ranker-0",
            "ranker-1",
        ]
        assert not any(line.startswith("texts") for line in lines)
        assert re.fullmatch(r"last minute: \d+\.\d searches/s, p50 \S+ ms, p99 \S+ ms", lines[-1])


def test_watching_as_json_prints_one_object_a_line(service: tuple[Cluster, str]) -> None:
    shown = run(service, "status", "--watch", "--json", "--interval", "0.1", "--count", "2")
    first, second = map(json.loads, shown.stdout.splitlines())
    for status in (first, second):
        assert status["searches_answered"] == 4
        assert status["searches"]["p50"].endswith("s")
        calls = [worker["calls"]["per_second"] for worker in status["workers"]]
        assert sum(calls) > 0
        assert {worker["outstanding"] for worker in status["workers"]} == {0}


def test_a_coordinator_that_is_away_is_waited_for(service: tuple[Cluster, str]) -> None:
    words = ["status", "--watch", "--count", "2", "--interval", "0.1", "--address", "127.0.0.1:1"]
    shown = CliRunner().invoke(admin.command, words)
    assert shown.exit_code == 0
    assert shown.stdout.count("spr: at 127.0.0.1:1 is no coordinator that answers") == 2


def test_a_worker_is_drained_shown_and_taken_back(service: tuple[Cluster, str]) -> None:
    target = service[0].topology.index[1].target
    drained = run(service, "drain", f"shard-00000@{target}", "--wait")
    assert drained.exit_code == 0, drained.stderr
    expected = "takes no new searches until --undo or its restart; no calls are in flight"
    assert drained.stdout == f"shard-00000@{target} {expected}\n"
    shown = run(service, "status")
    assert shown.exit_code == 1
    (row,) = [line.split() for line in shown.stdout.splitlines() if target in line]
    assert row[2] == "draining"
    last = run(service, "drain", service[0].topology.index[0].target, "--json")
    assert (last.exit_code, json.loads(last.stdout)["reason"]) == (3, "LAST_WORKER")
    back = run(service, "drain", target, "--undo")
    assert back.stdout == f"shard-00000@{target} takes new searches again\n"
    assert run(service, "status").exit_code == 0


def test_waiting_for_a_stuck_call_ends_at_its_timeout(service: tuple[Cluster, str]) -> None:
    worker = service[0].rankers[0]
    with worker.duty:
        late = run(service, "drain", "ranker-0", "--wait", "--timeout", "0.1")
    assert late.exit_code == 4
    assert "drains, 1 call is in flight after 0.1 s" in late.stderr
    assert run(service, "drain", "ranker-0", "--undo").exit_code == 0
