"""Clients and commands with TLS and tokens, against a coordinator and workers that speak mutual TLS."""

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import grpc
import pytest
from click.testing import CliRunner, Result

import spr_client
from engine.access import making
from engine.config import Topology
from engine.coordinator import Coordinator
from spr_cli import doctor_service
from spr_cli.main import cli
from spr_client import AsyncClient, Client, Tls, access
from tests.engine.asking import TEXT
from tests.engine.credentials import Credentials, make
from tests.engine.oracle import Cluster, cluster


@dataclass
class Service:
    made: Credentials
    topology: Topology
    address: str
    admin: str

    @property
    def tls(self) -> Tls:
        return Tls(self.made.authority)


class _Running:
    """A coordinator in an event loop of its own."""

    def __init__(self, workers: Cluster) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self.coordinator = asyncio.run_coroutine_threadsafe(self._start(workers), self._loop).result(60)

    async def _start(self, workers: Cluster) -> Coordinator:
        healthy = asyncio.Event()
        running = Coordinator(workers.topology, lambda now: healthy.set() if now else None)
        await running.start()
        async with asyncio.timeout(60):
            await healthy.wait()
        return running

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self.coordinator.stop(0.0), self._loop).result(60)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    made = make(tmp_path_factory.mktemp("access"))
    with cluster(tmp_path_factory.mktemp("cluster"), access=made.config()) as workers:
        running = _Running(workers)
        where = running.coordinator.address, running.coordinator.admin_address
        yield Service(made, workers.topology, *where)
        running.stop()


@pytest.fixture(autouse=True)
def _nothing_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (access.TOKEN, access.TOKEN_FILE, access.CA, access.CERT, access.KEY):
        monkeypatch.delenv(name, raising=False)


def spr(*words: str | Path) -> Result:
    before = dict(os.environ)
    result = CliRunner().invoke(cli, list(map(str, words)))
    assert dict(os.environ) == before
    return result


def test_a_search_with_a_token_is_answered_from_workers_behind_mutual_tls(service: Service) -> None:
    token = service.made.tokens["search"]
    with Client(service.address, tls=service.tls, token=token) as client:
        found = client.search(TEXT)
        (again,) = client.search_batch([TEXT])
        *_, last = client.search_progressive(TEXT)
    assert found.refined
    assert not found.coverage.degraded
    assert isinstance(again, spr_client.SearchResult)
    assert found.moments == again.moments == last.moments

    async def ask() -> list[spr_client.SearchResult]:
        async with AsyncClient(service.address, tls=service.tls, token=token) as client:
            (batched,) = await client.search_batch([TEXT])
            assert isinstance(batched, spr_client.SearchResult)
            progressive = [result async for result in client.search_progressive(TEXT)]
            return [await client.search(TEXT), batched, progressive[-1]]

    assert [result.moments for result in asyncio.run(ask())] == 3 * [found.moments]


@pytest.mark.parametrize(
    ("kind", "error", "reason"),
    [
        ("", spr_client.Unauthenticated, "TOKEN_MISSING"),
        ("unknown", spr_client.Unauthenticated, "TOKEN_UNKNOWN"),
        ("expired", spr_client.Unauthenticated, "TOKEN_EXPIRED"),
        ("write", spr_client.PermissionDenied, "SCOPE_MISSING"),
    ],
)
def test_a_refused_token_is_an_error_of_its_kind_that_does_not_show_it(
    service: Service, kind: str, error: type[spr_client.SearchError], reason: str
) -> None:
    token = service.made.tokens.get(kind, "")
    with Client(service.address, tls=service.tls, token=token) as client, pytest.raises(error) as caught:
        client.search(TEXT)
    assert caught.value.reason == reason
    assert not token or token not in str(caught.value)
    told = spr("search", TEXT, "--address", service.address, "--ca", service.made.authority)
    assert (told.exit_code, "SPR_TOKEN_FILE" in told.stderr) == (5, True)


def test_a_token_never_travels_without_encryption(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    token = service.made.tokens["search"]
    monkeypatch.setenv(access.TOKEN, token)
    for address in ("10.0.0.7:7400", "search.example.org:7400", "0.0.0.0:7400", "127.0.0.1.example.org:1"):
        with pytest.raises(spr_client.InvalidInput, match="without encryption") as caught:
            Client(address)
        assert (caught.value.reason, token in str(caught.value)) == ("TOKEN_UNENCRYPTED", False)
    told = spr("admin", "status", "--address", "10.0.0.7:7401")
    assert (told.exit_code, "without encryption" in told.stderr) == (2, True)
    for address in ("127.0.0.1:7400", "[::1]:7400", "localhost:7400", "unix:/tmp/socket"):
        Client(address).close()
    with grpc.insecure_channel("127.0.0.1:1") as channel:
        Client(channel=channel).close()
        with pytest.raises(spr_client.InvalidInput, match="a channel that the client opens"):
            Client(channel=channel, token=token)


def test_commands_take_files_and_variables_and_never_the_token_itself(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "me.token"
    # With a byte order mark, as some editors save it.
    file.write_text("\ufeff" + service.made.add("operator", "search", "write", "admin") + "\n")
    shown = ("--ca", service.made.authority, "--token-file", file)
    found = spr("search", TEXT, "--address", service.address, "--json", *shown)
    assert json.loads(found.stdout)["moments"]
    status = spr("admin", "status", "--address", service.admin, "--json", *shown)
    assert json.loads(status.stdout)["collection"]["videos"] == 12
    watched = spr("admin", "status", "--watch", "--count", "1", "--address", service.admin, "--json", *shown)
    assert json.loads(watched.stdout)["collection"]["videos"] == 12
    assert spr("search", TEXT, "--token", "x").exit_code == 2
    for name, value in ((access.CA, service.made.authority), (access.TOKEN_FILE, file)):
        monkeypatch.setenv(name, str(value))
    assert spr("admin", "versions", "--address", service.admin).exit_code == 0
    monkeypatch.setenv(access.TOKEN, service.made.tokens["search"])
    assert spr("admin", "versions", "--address", service.admin, "--token-file", file).exit_code == 0
    refused = spr("admin", "activate", "1", "--address", service.admin)
    assert refused.exit_code == 5
    assert "the token search-only allows search; ActivateVersion needs admin" in refused.stderr


def test_doctor_knows_the_processes_of_a_service_behind_tls(service: Service) -> None:
    ours = partial(doctor_service._is_ours, called=doctor_service._caller(service.topology))
    for listen in (service.address, service.admin, *(one.listen for one in service.topology.workers)):
        assert doctor_service._port(listen, ours) is None
    plain = partial(doctor_service._is_ours, called=grpc.insecure_channel)
    other = doctor_service._port(service.address, plain)
    assert other is not None
    assert "another program listens" in other.said


def test_who_is_not_trusted_is_told_so(service: Service, tmp_path: Path) -> None:
    other = make(tmp_path)
    with (
        Client(service.address, tls=Tls(other.authority), token="x") as client,
        pytest.raises(spr_client.Unauthenticated, match="not of the authority that SPR_CA names"),
    ):
        client.search(TEXT, timeout=60)
    with Client(service.address) as client, pytest.raises(spr_client.Unavailable, match="set SPR_CA if"):
        client.search(TEXT, timeout=60)
    status = spr("admin", "status", "--address", service.admin, "--ca", other.authority)
    assert (status.exit_code, "SPR_CA" in status.stderr) == (5, True)
    name = service.address.replace("127.0.0.1", "127.0.0.2")
    assert spr("search", TEXT, "--address", name, "--ca", service.made.authority).exit_code in (4, 5)


@pytest.mark.parametrize(
    ("tls", "message"),
    [
        (Tls("none.pem"), "none.pem cannot be read"),
        (Tls(__file__), "no PEM certificates"),
        (Tls(None, "web.pem"), "go together"),
        (Tls(None, "web.pem", "fleet-key.pem"), "a key that does not fit"),
    ],
)
def test_files_that_cannot_be_used_are_named(
    service: Service, monkeypatch: pytest.MonkeyPatch, tls: Tls, message: str
) -> None:
    monkeypatch.chdir(service.made.folder)
    with pytest.raises(spr_client.InvalidInput, match=message):
        Client("127.0.0.1:1", tls=tls)


def test_a_client_follows_its_files_and_half_a_file_changes_nothing(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "INTERVAL", 0.0)
    token, authority = tmp_path / "token", tmp_path / "authority.pem"
    token.write_text(service.made.tokens["search"])
    authority.write_bytes(service.made.authority.read_bytes())
    with Client(service.address, tls=Tls(authority), token=token) as client:
        client.search(TEXT)
        for file, half in ((token, ""), (authority, "-----BEGIN CERT")):
            whole = file.read_bytes()
            file.write_text(half)
            client.search(TEXT)
            file.write_bytes(whole)
            client.search(TEXT)
        token.write_text(service.made.tokens["unknown"])
        with pytest.raises(spr_client.Unauthenticated):
            client.search(TEXT)
        token.write_text(service.made.tokens["search"])
        authority.write_bytes(make(tmp_path / "other").authority.read_bytes())
        with pytest.raises(spr_client.Unauthenticated, match="SPR_CA"):
            client.search(TEXT, timeout=60)


def test_a_service_of_another_authority_is_told_in_one_sentence(service: Service, tmp_path: Path) -> None:
    making.make(tmp_path, [], 30)
    # A process of its own: gRPC writes to its stderr, by what it is told when it is loaded.
    asked = ["search", "a ball", "--address", service.address, "--ca", str(tmp_path / "authority.pem")]
    done = subprocess.run([sys.executable, "-m", "spr_cli.main", *asked], capture_output=True, text=True)
    assert done.returncode == 5
    (said,) = done.stderr.splitlines()
    assert said.endswith("its certificate is not of the authority that SPR_CA names")
