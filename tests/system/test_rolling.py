"""Processes that are stopped, killed and replaced while searches go on: nothing is lost."""

import json
import os
import shutil
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from engine import versions
from spr_cli import admin
from spr_cli.main import cli
from spr_client import Client, SearchError, SearchResult
from tests.system.service import Service, alive, free_ports, running, until
from tests.workers.ranker.factories import TEXTS


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


def whole(client: Client) -> SearchResult | None:
    try:
        result = client.search(TEXTS[0])
    except SearchError:
        return None
    return None if result.coverage.degraded else result


@contextmanager
def searching(address: str, callers: int = 2) -> Iterator[list[SearchResult | SearchError]]:
    """Search from several clients until the block ends; yield what they were told."""
    told: list[SearchResult | SearchError] = []
    over = threading.Event()

    def ask() -> None:
        with Client(address) as client:
            while not over.is_set():
                try:
                    told.append(client.search(TEXTS[0]))
                except SearchError as error:
                    told.append(error)

    threads = [threading.Thread(target=ask) for _ in range(callers)]
    for thread in threads:
        thread.start()
    try:
        yield told
    finally:
        over.set()
        for thread in threads:
            thread.join()


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


def test_a_build_is_served_by_the_processes_that_run(service: Service, copied: Path) -> None:
    served = service.ready["generation"]
    arguments = ["build", str(copied), "--index", "flatl2", "--device", "cpu", "--json"]
    with searching(service.address) as told, Client(service.address) as client:
        built = json.loads(CliRunner().invoke(cli, arguments).stdout)
        until(lambda: client.search(TEXTS[0]).generation == built["id"])
        answered = len(told)
        until(lambda: len(told) > answered + 5)
    assert [error for error in told if isinstance(error, SearchError)] == []
    assert {result.generation for result in told if isinstance(result, SearchResult)} <= {served, built["id"]}
    assert not any(result.coverage.degraded for result in told if isinstance(result, SearchResult))


def test_what_is_restarted_after_a_build_that_does_not_fit_serves_what_was_served(
    service: Service, copied: Path
) -> None:
    served = versions.current(copied)
    arguments = ["build", str(copied), "--shards", "3", "--device", "cpu", "--keep", "1", "--json"]
    built = json.loads(CliRunner().invoke(cli, arguments).stdout)
    assert served not in built["removed"]
    assert versions.current(copied) == built["id"]
    with Client(service.address) as client:
        for name in ("shard-00000", "ranker-0", "coordinator"):
            os.kill(pid := service.pid_now(name), signal.SIGKILL)
            until(lambda pid=pid: not alive(pid))  # type: ignore[misc]
            assert until(lambda: whole(client)).generation == served
    told = CliRunner().invoke(admin.command, ["status", "--address", service.ready["admin"]]).stdout
    assert f"version {built['id']} is not served: " in told
    assert "write one [[index]] or more for each shard" in told
