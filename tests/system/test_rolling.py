"""Coordinators, one of two processes, and workers stop, are killed and replaced: no search is lost.

One module, so that one service is started for all of it; every test leaves it whole.
"""

import json
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from bench.service import free_ports
from engine import versions
from recipes.chaos.faults import full_disk, slow
from recipes.chaos.service import Process
from spr_cli.main import cli
from spr_client import Client, SearchError, SearchResult
from tests.system.searching import searching, whole
from tests.system.service import Service, alive, running, until
from tests.workers.ranker.factories import TEXTS

PORTS = free_ports(8)


def write_fleet(path: Path, collection: Path, first_shard: int) -> Path:
    """Write the topology by a rename; first_shard: the port of shard 0's only worker."""
    lines = [f"collection = {json.dumps(str(collection))}", 'log_level = "info"']
    for listen, admin in (PORTS[:2], PORTS[2:4]):
        lines += ["[[coordinator]]", f'listen = "127.0.0.1:{listen}"', f'admin = "127.0.0.1:{admin}"']
    lines += ["processes = 2"]  # of the second coordinator
    for shard, port in enumerate((first_shard, PORTS[5])):
        lines += ["[[index]]", f"shard = {shard}", f'listen = "127.0.0.1:{port}"']
    settings = ["threads = 1", 'device = "cpu"', 'text_precision = "float32"']
    lines += ["[[ranker]]", f'listen = "127.0.0.1:{PORTS[6]}"', *settings]
    new = path.with_suffix(".new")
    new.write_text("\n".join(lines), encoding="utf-8")
    os.replace(new, path)
    return path


@pytest.fixture(scope="module")
def copied(collection: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shutil.copytree(collection, tmp_path_factory.mktemp("rolling") / "collection")


@pytest.fixture(scope="module")
def service(copied: Path) -> Iterator[Service]:
    """Serve the collection, each worker once, without a library process, which would be the only writer."""
    topology = write_fleet(copied.parent / "topology.toml", copied, PORTS[4])
    with running(copied.parent / "log.jsonl", str(topology)) as service:
        yield service


@pytest.fixture(autouse=True)
def _whole(service: Service, copied: Path) -> None:
    """Let a test begin when both coordinators answer in full, from the current version."""
    for address in service.ready["addresses"]:
        with Client(address) as client:
            until(lambda client=client: _current(client, copied))  # type: ignore[misc]


def _current(client: Client, collection: Path) -> bool:
    found = whole(client)
    return found is not None and found.generation == versions.current(collection)


@pytest.fixture
def client(service: Service) -> Iterator[Client]:
    with Client(service.address) as client:
        yield client


def build(collection: Path, *more: str) -> Any:
    arguments = ["build", str(collection), "--device", "cpu", "--keep", "1", "--json", *more]
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code == 0, (done.output, done.exception)
    return json.loads(done.stdout)


def restarted(service: Service) -> Iterator[str]:
    """Kill a process of each role; yield its name whenever it is gone."""
    for name in ("shard-00000", "ranker-0", "coordinator-0"):
        os.kill(pid := service.pid_now(name), signal.SIGKILL)
        until(lambda pid=pid: not alive(pid))  # type: ignore[misc]
        yield name


def test_a_coordinator_that_is_told_to_stop_hands_over_without_a_lost_search(service: Service) -> None:
    before = service.pid_now("coordinator-0")
    with searching(service.address) as told:
        until(lambda: told)
        os.kill(before, signal.SIGTERM)
        until(lambda: not alive(before))
        answered = len(told)
        until(lambda: len(told) > answered + 20)
    assert [error for error in told if isinstance(error, SearchError)] == []
    assert not any(result.coverage.degraded for result in told if isinstance(result, SearchResult))


@pytest.mark.parametrize("name", ["shard-00000", "ranker-0", "coordinator-0"])
def test_a_process_that_runs_half_of_the_time_changes_no_answer(
    service: Service, client: Client, name: str
) -> None:
    expected = until(lambda: whole(client)).moments
    slowed = Process("", name, "", service.pid_now(name))
    with searching(service.address) as told:
        slow([slowed], 0.6)
    assert told
    assert [error for error in told if isinstance(error, SearchError)] == []
    assert all(result.moments == expected for result in told if isinstance(result, SearchResult))


def test_a_coordinator_that_cannot_write_refuses_an_activation_and_answers_on(
    copied: Path, service: Service, client: Client
) -> None:
    before = until(lambda: whole(client)).generation
    deleted = CliRunner().invoke(cli, ["delete", str(copied), "video-1", "--json"])
    served = str(json.loads(deleted.stdout)["version"])
    until(lambda: (found := whole(client)) and found.generation == served)
    activate = ["admin", "activate", before, "--address", service.ready["admin"], "--json"]
    coordinator = [Process("coordinator", "coordinator", "", service.pid_now("coordinator-0"))]
    full_disk(coordinator, True)
    try:
        refused = CliRunner().invoke(cli, activate)
        assert until(lambda: whole(client)).generation == versions.current(copied) == served
    finally:
        full_disk(coordinator, False)
    assert refused.exit_code == 4
    assert str(copied) in json.loads(refused.stdout)["error"]
    assert CliRunner().invoke(cli, activate).exit_code == 0
    assert until(lambda: whole(client)).generation == versions.current(copied) == before


def test_a_build_that_does_not_fit_the_topology_changes_nothing_even_after_restarts(
    copied: Path, service: Service, client: Client
) -> None:
    served = until(lambda: whole(client)).generation
    built = build(copied, "--shards", "3", "--allow-fewer")  # one was deleted above
    assert served not in built["removed"]
    assert versions.current(copied) == built["id"]
    for _ in restarted(service):
        assert until(lambda: whole(client)).generation == served
    told = CliRunner().invoke(cli, ["admin", "status", "--address", service.ready["admin"]]).stdout
    assert f"version {built['id']} is not served: " in told
    assert "write one [[index]] or more for each shard" in told
    back = ["admin", "activate", served, "--address", service.ready["admin"], "--json"]
    assert CliRunner().invoke(cli, back).exit_code == 0
    assert versions.current(copied) == served


def both(service: Service) -> str:
    return ",".join(service.ready["addresses"])


def lost(told: list[SearchResult | SearchError]) -> list[object]:
    return [one for one in told if isinstance(one, SearchError) or one.coverage.degraded]


def readied(service: Service, name: str) -> int:
    return service.log.read_text(encoding="utf-8").count(f'"{name} is ready"')


def test_a_coordinator_that_is_killed_loses_no_search_of_clients_that_know_both(service: Service) -> None:
    assert len(service.ready["addresses"]) == 2
    for name in ("coordinator-0", "coordinator-1"):
        with searching(both(service), callers=4) as told:
            until(lambda: len(told) > 20)
            ready = readied(service, name)
            os.kill(pid := service.pid_now(name), signal.SIGKILL)
            until(lambda pid=pid: not alive(pid))  # type: ignore[misc]
            until(lambda name=name, ready=ready: readied(service, name) > ready)  # type: ignore[misc]
        assert lost(told) == []


def test_pages_of_one_coordinator_go_on_at_the_other(service: Service) -> None:
    first, second = (Client(address) for address in service.ready["addresses"])
    with first, second:
        page = first.search(TEXTS[0], page_size=1)
        rest = second.search("", page_size=100, page_token=page.next_page)
        there = first.search("", page_size=100, page_token=page.next_page)
    assert rest.moments == there.moments
    assert len(rest.moments) == page.total - 1


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_of_processes_at_one_port_each_answers_for_the_other(service: Service, number: int) -> None:
    address = service.ready["addresses"][1]
    with Client(address) as client:
        page = client.search(TEXTS[0], page_size=1)
        rest = client.search("", page_size=100, page_token=page.next_page).moments
    for name in ("coordinator-1", "coordinator-1.2"):
        before, ready = service.pid_now(name), readied(service, name)
        with searching(address if number == signal.SIGTERM else both(service)) as told:
            os.kill(before, number)
            until(lambda pid=before: not alive(pid))  # type: ignore[misc]
            with Client(address) as client:
                assert client.search("", page_size=100, page_token=page.next_page).moments == rest
            until(lambda name=name, ready=ready: readied(service, name) > ready)  # type: ignore[misc]
        assert lost(told) == []


def test_a_topology_that_changes_loses_no_search(service: Service, copied: Path) -> None:
    topology = service.log.parent / "topology.toml"
    before = service.pid_now("shard-00000")
    with searching(both(service), callers=2) as told:
        until(lambda: told)
        write_fleet(topology, copied, PORTS[7])
        until(lambda: not alive(before))
        answered = len(told)
        until(lambda: len(told) > answered + 20)
    assert lost(told) == []
    for admin in (PORTS[1], PORTS[3]):
        shown = (
            CliRunner().invoke(cli, ["admin", "status", "--address", f"127.0.0.1:{admin}", "--json"]).stdout
        )
        targets = {worker["target"] for worker in json.loads(shown)["workers"]}
        assert targets == {f"127.0.0.1:{PORTS[port]}" for port in (7, 5, 6)}
