"""Processes that are stopped, killed and replaced while searches go on: nothing is lost."""

import json
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from engine import versions
from spr_cli.main import cli
from spr_client import Client, SearchError, SearchResult
from tests.system.searching import searching, whole
from tests.system.service import Service, alive, free_ports, running, until, write_topology


@pytest.fixture(scope="module")
def copied(collection: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shutil.copytree(collection, tmp_path_factory.mktemp("rolling") / "collection")


@pytest.fixture(scope="module")
def service(copied: Path) -> Iterator[Service]:
    """Serve the collection without a topology: whatever is restarted has no twin."""
    folder = copied.parent
    port = str(free_ports(1)[0])
    options = ("--collection", str(copied), "--port", port, "--log-level", "warning")
    with running(folder / "log.jsonl", *options) as service:
        yield service


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


def test_a_build_that_does_not_fit_the_topology_changes_nothing_even_after_restarts(
    collection: Path, tmp_path: Path
) -> None:
    copied = shutil.copytree(collection, tmp_path / "collection")
    topology = write_topology(tmp_path / "topology.toml", copied)
    arguments = ["build", str(copied), "--shards", "3", "--device", "cpu", "--keep", "1", "--json"]
    with running(tmp_path / "log.jsonl", str(topology)) as service, Client(service.address) as client:
        served = service.ready["generation"]
        built = json.loads(CliRunner().invoke(cli, arguments).stdout)
        assert (built["removed"], versions.current(copied)) == ([], built["id"])
        for name in ("shard-00000", "ranker-0", "coordinator"):
            os.kill(pid := service.pid_now(name), signal.SIGKILL)
            until(lambda pid=pid: not alive(pid))  # type: ignore[misc]
            assert until(lambda: whole(client)).generation == served
        told = CliRunner().invoke(cli, ["admin", "status", "--address", service.ready["admin"]]).stdout
    assert f"version {built['id']} is not served: " in told
    assert "write one [[index]] or more for each shard" in told
