"""Workers prepare what is served, coordinators start with what can be, and both let go of the rest."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from engine import versions
from engine.errors import Mismatch
from tests.engine.asking import TEXT, search
from tests.engine.corpus import Corpus
from tests.engine.oracle import Cluster, cluster
from tests.engine.oracle import start as serve
from tests.engine.running import coordinator
from tests.engine.switching import activated, operated, status, until


def later(**changes: Any) -> Corpus:
    return Corpus(**{"videos": 15, "seed": 1, **changes})


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.switching.POLL", 0.05)
    monkeypatch.setattr("engine.monitor.INTERVAL", 0.05)
    monkeypatch.setattr("engine.served.LINGER", 0.0)


def test_a_worker_that_restarts_after_a_switch_is_asked_to_prepare(tmp_path: Path) -> None:
    async def run(workers: Cluster) -> Any:
        second = workers.write(later(), activate=False)
        target = workers.topology.index[0].target
        async with operated(workers) as (stub, admin, _):
            await activated(admin, second.version)
            await asyncio.to_thread(workers.kill, target)
            lost = await search(stub)
            # It comes back with what it was started with.
            worker = workers.shards[0][0]
            worker.versions = {workers.corpus.version: workers.corpus}
            workers.servers[target] = await asyncio.to_thread(serve, worker, target)
            while (await search(stub)).coverage.degraded:
                await asyncio.sleep(0.01)
            return lost, await status(admin)

    with cluster(tmp_path) as workers:
        lost, told = asyncio.run(run(workers))
    assert list(lost.coverage.unreachable) == ["shard-00000"]
    assert told.workers[0].generation == told.collection.generation


def test_a_worker_without_the_version_counts_as_lost_until_it_has_it(tmp_path: Path) -> None:
    async def run(workers: Cluster) -> Any:
        worker = workers.shards[1][0]
        worker.versions.clear()
        worker.preparing.open.clear()
        async with operated(workers) as (stub, _, __):
            lost = await search(stub)
            await until(lambda: worker.preparing.waiting)
            worker.preparing.open.set()
            while (await search(stub)).coverage.degraded:
                await asyncio.sleep(0.01)
            return lost

    with cluster(tmp_path) as workers:
        lost = asyncio.run(run(workers))
    assert list(lost.coverage.unreachable) == ["shard-00001"]
    assert lost.coverage.ratio == 0.5


def test_one_that_is_asked_for_a_version_it_lacks_stays_in_rotation_for_others(tmp_path: Path) -> None:
    second = later()

    async def run(workers: Cluster) -> Any:
        half = workers.shards[0][0]
        half.refusing[second.version] = Mismatch("no", "GENERATION_CORRUPT")
        async with operated(workers) as (stub, admin, _):
            await activated(admin, workers.write(second, activate=False).version, prepare_only=True)
            for i in range(6):
                await search(stub, text=f"{TEXT} {i}", version=second.version)
            before = half.held.calls
            for i in range(6):
                await search(stub, text=f"{TEXT} {i}")
            return half.held.calls - before

    with cluster(tmp_path, replicas=2) as workers:
        assert asyncio.run(run(workers)) >= 2


def test_a_coordinator_starts_with_the_version_before_one_that_nobody_can_prepare(tmp_path: Path) -> None:
    async def run(workers: Cluster) -> Any:
        async with operated(workers) as (stub, admin, running):
            first = workers.corpus.version
            await until(lambda: running.collections.first.active_id == first)
            return await search(stub), (await status(admin)).collection

    with cluster(tmp_path) as workers:
        second = workers.write(later())
        for worker in workers.workers:
            worker.versions = {workers.corpus.version: workers.corpus}
        workers.rankers[0].refusing[second.version] = Mismatch("a model is damaged", "GENERATION_CORRUPT")
        answer, told = asyncio.run(run(workers))
    assert answer.versions.generation == workers.corpus.version
    assert not answer.coverage.degraded
    assert (told.newest_generation, "a model is damaged" in told.fault) == (second.version, True)


def test_a_coordinator_starts_with_the_version_before_one_that_is_damaged_on_disk(tmp_path: Path) -> None:
    async def run(workers: Cluster) -> Any:
        async with operated(workers) as (stub, admin, _):
            return await search(stub), (await status(admin)).collection

    with cluster(tmp_path) as workers:
        second = workers.write(later())
        versions.path_of(workers.topology.collection, second.version).write_text("{")
        answer, told = asyncio.run(run(workers))
    assert answer.versions.generation == workers.corpus.version
    assert "00000002.json" in told.fault


def test_a_version_is_held_against_removal_while_it_is_served(tmp_path: Path) -> None:
    from engine.version_lock import locked_for_removal

    def free(workers: Cluster, corpus: Corpus) -> bool:
        with locked_for_removal(workers.topology.collection, corpus.version) as nobody:
            return nobody

    async def run(workers: Cluster) -> None:
        second = workers.write(later(), activate=False)
        async with operated(workers) as (_, admin, __):
            assert (free(workers, workers.corpus), free(workers, second)) == (False, True)
            await activated(admin, second.version)
            await until(lambda: free(workers, workers.corpus))
            assert not free(workers, second)

    with cluster(tmp_path) as workers:
        asyncio.run(run(workers))


def test_a_slower_replica_joins_when_it_is_ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.quorum.PATIENCE", 0.05)

    async def run(workers: Cluster) -> Any:
        slow = workers.shards[0][1]
        slow.preparing.open.clear()
        second = workers.write(later(), activate=False)
        async with operated(workers) as (_, admin, __):
            done = await activated(admin, second.version)
            assert second.version not in slow.versions
            slow.preparing.open.set()
            await until(lambda: second.version in slow.versions)
            return done

    with cluster(tmp_path, replicas=2) as workers:
        (left_out,) = asyncio.run(run(workers)).left_out
    assert left_out.why == "it is still preparing it"


def test_a_worker_drops_what_nobody_needs_any_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.leftovers.LEFTOVER", 0.0)

    async def run(workers: Cluster) -> None:
        left = later(seed=3)
        left.write(workers.topology.collection, activate=False)
        workers.shards[0][0].versions[left.version] = left
        async with coordinator(workers):
            await until(lambda: list(workers.shards[0][0].versions) == [workers.corpus.version])

    with cluster(tmp_path) as workers:
        asyncio.run(run(workers))
