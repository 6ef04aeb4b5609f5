"""Workers that come and go while searches go on: by the topology file, and by DNS."""

import asyncio
import dataclasses
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from engine import config, discovery
from engine.config import IndexWorkerConfig, Topology
from engine.coordinator import Coordinator
from engine.process_config import DiscoveryConfig
from spr.v1 import search_service_pb2 as pb
from tests.engine.asking import TEXT, by_hand, rounded, rows, search
from tests.engine.nameserver import nameserver
from tests.engine.oracle import Cluster, IndexOracle, cluster, start
from tests.engine.running import write_topology
from tests.engine.switching import operated, status, until


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.discovery.POLL", 0.02)
    monkeypatch.setattr("engine.monitor.INTERVAL", 0.1)


@asynccontextmanager
async def searched(workers: Cluster, stub: Any) -> AsyncIterator[list[pb.SearchResponse]]:
    """Search all the time; every answer must be whole and right."""
    answers: list[pb.SearchResponse] = []

    async def ask() -> None:
        while True:
            answers.append(await search(stub, text=f"{TEXT} {len(answers)}"))

    asking = asyncio.create_task(ask())
    try:
        yield answers
        seen = len(answers)
        await until(lambda: len(answers) > seen + 3 or asking.done())
    finally:
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
    assert not any(answer.coverage.degraded for answer in answers)
    for i, answer in list(enumerate(answers))[-3:]:
        assert rounded(rows(answer)) == rounded(by_hand(workers.corpus, f"{TEXT} {i}"))


def targets(running: Coordinator) -> list[list[str]]:
    fleet: Any = running._fleet
    return [[one.target for one in group.members] for group in (*fleet.shards.values(), fleet.rankers)]


def write(path: Path, workers: Cluster, keep: Callable[[int], bool]) -> None:
    """Write the cluster's topology with some of its index workers and rankers, by a rename."""
    full = workers.topology
    workers.topology = dataclasses.replace(
        full,
        index=tuple(one for i, one in enumerate(full.index) if keep(i % 2)),
        ranker=tuple(one for i, one in enumerate(full.ranker) if keep(i)),
    )
    os.replace(write_topology(workers, path.with_suffix(".new")), path)
    workers.topology = full


def test_workers_come_and_go_with_the_file_and_no_search_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "topology.toml"
    with cluster(tmp_path, replicas=2, rankers=2, max_deadline=2.0) as workers:
        full = workers.topology
        write(path, workers, lambda i: i == 0)
        workers.topology = config.read(path)

        async def run() -> None:
            async with operated(workers) as (stub, admin, running), searched(workers, stub):
                before = targets(running)
                write(path, dataclasses.replace(workers, topology=full), lambda i: i == 1)
                now = [[full.index[1].target], [full.index[3].target], [full.ranker[1].target]]
                await until(lambda: targets(running) == now)
                told = await status(admin)
                assert {worker.target for worker in told.workers} == {
                    t for some in targets(running) for t in some
                }
                for target in before:
                    await asyncio.to_thread(workers.kill, target[0])

        asyncio.run(run())


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        ("collection = ", "is not TOML"),
        ("", "names no collection"),
        (None, "cannot be read"),
        ('collection = "elsewhere"\n', "names other collections than are served"),
        ("less", "has no [[index]] of shard-00001, which a version that is served has"),
    ],
)
def test_a_file_that_cannot_be_used_changes_nothing_and_is_told(
    tmp_path: Path, broken: str | None, why: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "topology.toml"
    with cluster(tmp_path) as workers:
        sound = write_topology(workers, path).read_text()
        workers.topology = config.read(path)

        async def run() -> None:
            async with operated(workers) as (stub, admin, running), searched(workers, stub):
                before = targets(running)
                if broken is None:
                    path.unlink()
                elif broken == "less":
                    path.write_text(sound.replace("shard = 1", "shard = 0"))
                elif "elsewhere" in broken:
                    path.write_text(broken + sound.partition("\n")[2])
                else:
                    path.write_text(broken)
                await until(lambda: running._discovery.faults)
                (told,) = (await status(admin)).topology_faults
                assert why in told
                assert told.endswith("the topology of before stays in use")
                assert targets(running) == before
                path.write_text(sound)
                await until(lambda: not running._discovery.faults)

        asyncio.run(run())


def test_every_address_of_a_name_is_a_replica_and_losing_dns_freezes_them(tmp_path: Path) -> None:
    with nameserver() as zone, cluster(tmp_path, rankers=1, max_deadline=2.0) as workers:
        first = workers.topology.index[0]
        port = first.listen.rpartition(":")[2]
        zone.names["shard-0.search"] = ["127.0.0.1"]
        named = dataclasses.replace(first, address=f"dns:shard-0.search:{port}")
        workers.topology = dataclasses.replace(
            workers.topology,
            index=(named, *workers.topology.index[1:]),
            discovery=DiscoveryConfig(nameserver=zone.address, interval=0.0),
        )
        workers.shards[0].append(replica := IndexOracle(workers.library, 0))
        workers.servers[f"127.0.0.2:{port}"] = start(replica, f"127.0.0.2:{port}")

        async def run() -> None:
            async with operated(workers) as (stub, admin, running), searched(workers, stub):
                assert targets(running)[0] == [f"127.0.0.1:{port}"]
                zone.names["shard-0.search"] = ["127.0.0.2", "127.0.0.1"]
                await until(lambda: replica.held.calls > 3)
                zone.names["shard-0.search"] = ["127.0.0.2"]
                await until(lambda: targets(running)[0] == [f"127.0.0.2:{port}"])
                await asyncio.to_thread(workers.kill, f"127.0.0.1:{port}")
                zone.broken = True
                await until(lambda: running._discovery.faults)
                (told,) = (await status(admin)).topology_faults
                assert told.startswith(
                    "shard-0.search cannot be resolved (no nameserver answers); its workers"
                )
                zone.broken, zone.names = False, {}
                await until(lambda: "there is no such name" in running._discovery.faults[0])
                assert targets(running)[0] == [f"127.0.0.2:{port}"]

        asyncio.run(run())


def test_a_name_is_looked_for_in_the_search_domains_of_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "resolv.conf").write_text(
        "nameserver 192.0.2.1\nsearch spr.svc.cluster.local\noptions ndots:5\n"
    )
    monkeypatch.setattr(discovery, "RESOLV_CONF", str(tmp_path / "resolv.conf"))
    with nameserver() as zone:
        zone.names["shard-00000.spr.svc.cluster.local"] = ["10.0.0.1", "10.0.0.2"]
        zone.names["shard-1.example.org"] = ["10.0.0.3"]
        settings = DiscoveryConfig(nameserver=zone.address)
        addresses = (f"dns:{name}:7410" for name in ("shard-00000", "shard-1.example.org"))
        index = [IndexWorkerConfig(shard=n, listen="h:1", address=one) for n, one in enumerate(addresses)]
        topology = Topology(collection=tmp_path, path=tmp_path, index=tuple(index), discovery=settings)
        found: list[discovery.Targets] = []
        looks = discovery.Discovery(topology, lambda _, targets: found.append(dict(targets)))
        asyncio.run(looks.look())
        assert found == [
            {
                "dns:shard-00000:7410": ("10.0.0.1:7410", "10.0.0.2:7410"),
                "dns:shard-1.example.org:7410": ("10.0.0.3:7410",),
            }
        ]
