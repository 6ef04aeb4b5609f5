"""Rankers that hold some shards each, encoders of their own, and zones, as a coordinator uses them."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import grpc
import grpc.aio
import pytest

from engine import config, processes
from engine.by_shard import covering
from engine.config import EncoderWorkerConfig, IndexWorkerConfig, RankerWorkerConfig, Topology
from engine.errors import InvalidInput, Mismatch
from engine.fleet import Fleet
from engine.hedging import Hedging
from engine.replica import Place
from engine.replica_health import EJECT_AFTER
from engine.replicas import Replicas
from spr.v1 import admin_service_pb2 as pb
from spr.v1 import types_pb2
from tests.engine.asking import TEXT, by_hand, rounded, rows, search
from tests.engine.corpus import Corpus
from tests.engine.failing import failure
from tests.engine.oracle import Cluster, cluster
from tests.engine.running import ask
from tests.engine.switching import activated, failed, operated, status
from tests.engine.test_config import MINIMAL, write

SKIPPED = types_pb2.DEGRADED_REASON_RANKER_SKIPPED
Result = TypeVar("Result")


@contextmanager
def by_shard(folder: Path, *shards: tuple[int, ...], **settings: Any) -> Iterator[Cluster]:
    """Run rankers that hold these shards, and one encoder that holds none."""
    with cluster(folder, rankers=len(shards) + 1, **settings) as workers:
        *rankers, encoder = workers.topology.ranker
        held = [replace(one, shards=mine) for one, mine in zip(rankers, shards, strict=True)]
        for judge, mine in zip(workers.rankers, [*shards, ()], strict=True):
            judge.shards = list(mine)
        encoders = (EncoderWorkerConfig(listen=encoder.listen),)
        workers.topology = replace(workers.topology, ranker=tuple(held), encoder=encoders)
        yield workers


def test_proposals_go_where_their_contexts_lie(tmp_path: Path) -> None:
    with by_shard(tmp_path, (0,), (1,)) as workers:
        response = ask(workers, search)
        calls = [(judge.encoding.calls, judge.ranking.calls) for judge in workers.rankers]
    assert not response.coverage.degraded
    assert rounded(rows(response)) == rounded(by_hand(workers.corpus, TEXT))
    assert sorted(calls) == [(0, 1), (0, 2), (1, 0)]


def test_rankers_are_asked_for_what_they_report_whatever_the_topology_says_by_now(tmp_path: Path) -> None:
    async def run(workers: Cluster) -> list[types_pb2.Moment]:
        async with operated(workers) as (stub, admin, _):
            await status(admin)
            return list((await search(stub)).moments)

    with by_shard(tmp_path, (0,), (1,)) as workers:
        # The topology has been changed, and the two have not been started again.
        workers.rankers[0].shards, workers.rankers[1].shards = [1], [0]
        moments = asyncio.run(run(workers))
    assert {moment.provenance.refined for moment in moments} == {True}


def test_a_dead_group_leaves_the_proposals_of_its_shards_unrefined(tmp_path: Path) -> None:
    with by_shard(tmp_path, (0,), (1,)) as workers:
        workers.rankers[1].refuses = grpc.StatusCode.UNAVAILABLE
        response = ask(workers, search)
    assert list(response.coverage.degraded) == [SKIPPED]
    assert response.coverage.ratio == 1.0
    corpus = workers.corpus
    lost = {corpus.ids()[video] for video in corpus.of_shard(1)}
    refined = [moment.video_id for moment in response.moments if moment.provenance.refined]
    last = [moment.video_id for moment in response.moments[len(refined) :]]
    assert not lost & set(refined)
    assert set(last) <= lost
    wanted = [row for row in by_hand(corpus, TEXT) if row[0] not in lost]
    assert rounded(rows(response)[: len(refined)]) == rounded(wanted)
    coarse = [row for row in by_hand(corpus, TEXT, refine=False) if row[0] in lost]
    assert rounded(rows(response)[len(refined) :]) == rounded(coarse)


def test_a_group_that_is_overloaded_refuses_the_search_for_now(tmp_path: Path) -> None:
    with by_shard(tmp_path, (0,), (1,)) as workers:
        workers.rankers[1].refuses = grpc.StatusCode.RESOURCE_EXHAUSTED
        with pytest.raises(grpc.RpcError) as caught:
            ask(workers, search)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_a_version_that_the_ranker_of_a_shard_cannot_prepare_is_not_served(tmp_path: Path) -> None:
    async def run(workers: Cluster) -> tuple[str, str, str]:
        second = workers.write(Corpus(videos=15, seed=5), activate=False)
        workers.rankers[1].refusing[second.version] = Mismatch("a file is damaged", "GENERATION_CORRUPT")
        async with operated(workers) as (_, admin, __):
            return await failed(activated(admin, second.version))

    with by_shard(tmp_path, (0,), (1,)) as workers:
        _, reason, message = asyncio.run(run(workers))
    assert reason == "NOT_PREPARED"
    assert "not prepared by any worker of ranker of shard-00001 (ranker-1 at" in message


def test_operators_see_who_holds_what_and_drain_no_last_holder(tmp_path: Path) -> None:
    async def run(workers: Cluster) -> None:
        async with operated(workers) as (_, admin, __):
            shown = {worker.name: worker for worker in (await status(admin)).workers}
            assert shown["encoder-0"].role == pb.Worker.ROLE_ENCODER
            assert {one.state for one in shown.values()} == {pb.Worker.STATE_SERVING}
            last = [
                (await failed(admin.DrainWorker(pb.DrainWorkerRequest(worker=name))))
                for name in ("ranker-2", "encoder-0")
            ]
            assert [reason for _, reason, _ in last] == ["LAST_WORKER"] * 2
            answer = await admin.DrainWorker(pb.DrainWorkerRequest(worker="ranker-0"))
            assert answer.worker.state == pb.Worker.STATE_DRAINING
            # It was started before the topology said so: it is not asked about what it lacks.
            workers.rankers[2].shards = [0]
            found = {worker.name: worker.last_error for worker in (await status(admin)).workers}
            lacks = "lacks shard-00001, which the topology says it has; restart it"
            assert found["ranker-2"] == f"last error: {lacks}"

    with by_shard(tmp_path, (0,), (0,), (1,)) as workers:
        asyncio.run(run(workers))


def test_rankers_hold_shards_and_encoders_are_processes_of_their_own(tmp_path: Path) -> None:
    text = f'{MINIMAL}shards = [0]\nzone = "a"\n[[encoder]]\nlisten = "127.0.0.1:3"\n'
    topology = config.read(write(tmp_path, text))
    assert (topology.ranker[0].holds, topology.ranker[0].zone) == (frozenset({"shard-00000"}), "a")
    assert [one.role for one in processes.programs(topology)] == ["encoder", "ranker", "index", "coordinator"]
    assert config.from_json(config.to_json(topology)) == topology
    for shards, message in [
        ("[0, 7]", "a [[ranker]] names shard 7, which no [[index]] has"),
        ("[1]", "no [[ranker]] holds shard 0; write it into the shards of one"),
    ]:
        more = '[[index]]\nshard = 1\nlisten = "127.0.0.1:4"\n'
        with pytest.raises(InvalidInput, match=re.escape(message)):
            config.read(write(tmp_path, f"{MINIMAL}shards = {shards}\n{more}"))


def replicas(zone: str, places: list[Place]) -> "Replicas[str]":
    found: Replicas[str] = Replicas("ranker", (), lambda _: "", zone=zone)
    targets = {f"h:{number + 1}": place for number, place in enumerate(places)}
    found.follow(targets, targets)
    for number, member in enumerate(found.members):
        member.stub, member.held = str(number), {"v"}
    return found


def sound(question: Callable[[], Awaitable[Result]]) -> Result:
    async def run() -> Result:
        return await question()

    return asyncio.run(run())


def test_shards_are_covered_by_few_calls_to_well_workers() -> None:
    async def run() -> None:
        holding = [{0}, {1}, {0, 1}, {2}]
        group = replicas("", [Place("", frozenset(f"s{n}" for n in shards)) for shards in holding])
        wanted = frozenset({"s0", "s1", "s2"})
        assert covering(group, "v", wanted) == [{"s0", "s1"}, {"s2"}]
        group.members[2].held.clear()
        assert covering(group, "v", wanted) == [{"s0"}, {"s1"}, {"s2"}]
        for _ in range(EJECT_AFTER):
            group.members[3].health.failed("it is ill")
        assert covering(group, "v", wanted) == [{"s0"}, {"s1"}, {"s2"}]
        # Nobody holds it: it is asked for by itself, and the call says why not.
        assert covering(group, "v", frozenset({"s0", "s9"})) == [{"s0"}, {"s9"}]
        await group.close()

    sound(run)


def test_replicas_of_the_own_zone_are_asked_while_they_are_well() -> None:
    async def run() -> None:
        group, asked = replicas("a", [Place("b"), Place("a"), Place("b"), Place("a")]), list[str]()
        full = set[str]()

        async def attempt(stub: str) -> str:
            asked.append(stub)
            if stub in full:
                raise failure(grpc.StatusCode.RESOURCE_EXHAUSTED)
            return stub

        hedging = Hedging()
        assert {await group.call(attempt, hedging, version="v") for _ in range(4)} == {"1", "3"}
        group.members[1].health.outstanding = 3
        assert {await group.call(attempt, hedging, version="v") for _ in range(4)} == {"3"}
        group.members[1].health.outstanding = 0
        # One that is full hands its call on, and is no better than those elsewhere for a second.
        full.add("1")
        assert {await group.call(attempt, hedging, version="v") for _ in range(8)} <= {"0", "2", "3"}
        for _ in range(EJECT_AFTER):
            group.members[3].health.failed("it is ill")
        assert {await group.call(attempt, hedging, version="v") for _ in range(4)} == {"0", "2"}
        await group.close()

    sound(run)


def test_rankers_that_leave_stay_until_others_hold_their_shards() -> None:
    async def run() -> None:
        index = tuple(IndexWorkerConfig(shard=n, listen=f"h:{n + 1}") for n in range(2))
        rankers = tuple(RankerWorkerConfig(listen=f"h:{n + 8}", shards=(n,)) for n in range(2))
        whole = (RankerWorkerConfig(listen="h:7"),)
        topology = Topology(path=Path("t.toml"), collection=Path("c"), index=index, ranker=whole)
        fleet = Fleet(topology)
        fleet.rankers.members[0].held = {"v"}
        fleet.follow(replace(topology, ranker=rankers), {}, set())
        shards = ["shard-00000", "shard-00001"]
        assert fleet.rankers.let_go({"v"}, shards) == []
        fleet.rankers.members[0].held = {"v"}
        assert fleet.rankers.let_go({"v"}, shards) == []
        fleet.rankers.members[1].held = {"v"}
        assert [one.target for one in fleet.rankers.let_go({"v"}, shards)] == ["h:7"]
        more = (EncoderWorkerConfig(listen="h:6"),)
        with pytest.raises(InvalidInput, match="has its first"):
            fleet.follow(replace(topology, encoder=more), {}, set())
        await fleet.close()

    sound(run)
