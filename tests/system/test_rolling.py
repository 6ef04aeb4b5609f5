"""Processes that are stopped, killed and replaced while searches go on: nothing is lost."""

import json
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from engine import versions
from recipes.chaos.faults import full_disk, slow
from recipes.chaos.service import Process
from spr_cli.main import cli
from spr_client import Client, SearchError, SearchResult
from tests.system.searching import searching, whole
from tests.system.service import Service, alive, running, until, write_topology


@pytest.fixture(scope="module")
def copied(collection: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shutil.copytree(collection, tmp_path_factory.mktemp("rolling") / "collection")


@pytest.fixture(scope="module")
def service(copied: Path) -> Iterator[Service]:
    """Serve the collection, each worker once, without a library process, which would be the only writer."""
    topology = write_topology(copied.parent / "topology.toml", copied)
    with running(copied.parent / "log.jsonl", str(topology)) as service:
        yield service


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
    for name in ("shard-00000", "ranker-0", "coordinator"):
        os.kill(pid := service.pid_now(name), signal.SIGKILL)
        until(lambda pid=pid: not alive(pid))  # type: ignore[misc]
        yield name


def test_a_coordinator_that_is_told_to_stop_hands_over_without_a_lost_search(service: Service) -> None:
    before = service.pid_now("coordinator")
    with searching(service.address) as told:
        until(lambda: told)
        os.kill(before, signal.SIGTERM)
        until(lambda: not alive(before))
        answered = len(told)
        until(lambda: len(told) > answered + 20)
    assert [error for error in told if isinstance(error, SearchError)] == []
    assert not any(result.coverage.degraded for result in told if isinstance(result, SearchResult))


@pytest.mark.parametrize("name", ["shard-00000", "ranker-0", "coordinator"])
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
    coordinator = [Process("coordinator", "coordinator", "", service.pid_now("coordinator"))]
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
