"""Two coordinators over one topology that changes, as real processes: no search fails."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from bench.service import free_ports
from spr_cli.main import cli
from spr_client import Client, SearchError, SearchResult
from tests.system.searching import searching, whole
from tests.system.service import Service, alive, running, until
from tests.workers.ranker.factories import TEXTS

PORTS = free_ports(8)


def write(path: Path, collection: Path, first_shard: int) -> Path:
    """Write the topology by a rename; first_shard: the port of shard 0's only worker."""
    lines = [f"collection = {json.dumps(str(collection))}", 'log_level = "info"']
    for listen, admin in (PORTS[:2], PORTS[2:4]):
        lines += ["[[coordinator]]", f'listen = "127.0.0.1:{listen}"', f'admin = "127.0.0.1:{admin}"']
    for shard, port in enumerate((first_shard, PORTS[5])):
        lines += ["[[index]]", f"shard = {shard}", f'listen = "127.0.0.1:{port}"']
    settings = ["threads = 1", 'device = "cpu"', 'text_precision = "float32"']
    lines += ["[[ranker]]", f'listen = "127.0.0.1:{PORTS[6]}"', *settings]
    new = path.with_suffix(".new")
    new.write_text("\n".join(lines), encoding="utf-8")
    os.replace(new, path)
    return path


@pytest.fixture(scope="module")
def service(collection: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("fleet")
    topology = write(folder / "topology.toml", collection, PORTS[4])
    with running(folder / "log.jsonl", str(topology)) as service:
        yield service


def both(service: Service) -> str:
    return ",".join(service.ready["addresses"])


def lost(told: list[SearchResult | SearchError]) -> list[object]:
    return [one for one in told if isinstance(one, SearchError) or one.coverage.degraded]


def test_a_coordinator_that_is_killed_loses_no_search_of_clients_that_know_both(service: Service) -> None:
    assert len(service.ready["addresses"]) == 2
    for number in range(2):
        with searching(both(service), callers=4) as told:
            until(lambda: len(told) > 20)
            os.kill(pid := service.pid_now(f"coordinator-{number}"), signal.SIGKILL)
            until(lambda pid=pid: not alive(pid))  # type: ignore[misc]
            with Client(service.ready["addresses"][number]) as client:
                until(lambda: whole(client))
        assert lost(told) == []


def test_pages_of_one_coordinator_go_on_at_the_other(service: Service) -> None:
    first, second = (Client(address) for address in service.ready["addresses"])
    with first, second:
        page = first.search(TEXTS[0], page_size=1)
        rest = second.search("", page_size=100, page_token=page.next_page)
        there = first.search("", page_size=100, page_token=page.next_page)
    assert rest.moments == there.moments
    assert len(rest.moments) == page.total - 1


def test_a_topology_that_changes_loses_no_search(service: Service, collection: Path) -> None:
    topology = service.log.parent / "topology.toml"
    before = service.pid_now("shard-00000")
    with searching(both(service), callers=2) as told:
        until(lambda: told)
        write(topology, collection, PORTS[7])
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
