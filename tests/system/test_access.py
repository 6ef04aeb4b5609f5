"""A service with access control: real processes, whose certificate and tokens change while clients search."""

import json
import socket
import ssl
import threading
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from engine.access import making, settings, tokens
from engine.files import replacing
from spr_cli.main import cli
from spr_client import Client, SearchError, SearchResult, Tls
from tests.engine.credentials import Credentials, make
from tests.system.service import Service, running, until, write_topology
from tests.workers.ranker.factories import TEXTS

PATIENCE = 100.0  # seconds


class _Searching(threading.Thread):
    """A client that searches until it is told to end. told: what it was told."""

    def __init__(self, client: Client) -> None:
        super().__init__()
        self.told: list[SearchResult | SearchError] = []
        self._over, self._client = threading.Event(), client
        self.start()

    def run(self) -> None:
        while not self._over.wait(0.01):
            try:
                self.told.append(self._client.search(TEXTS[0], timeout=PATIENCE))
            except SearchError as error:
                self.told.append(error)

    def more(self, count: int = 20) -> None:
        wanted = len(self.told) + count
        until(lambda: len(self.told) >= wanted)

    def end(self) -> list[SearchResult | SearchError]:
        self._over.set()
        self.join()
        return self.told


def topology_of(folder: Path, collection: Path, made: Credentials) -> Path:
    """Write a topology with [access] that asks callers for certificates, too, and logs all it can."""
    library = {"roots": [str(folder / "videos")]}
    # A busy machine is late: no answer is degraded or refused for that.
    file = folder / "topology.toml"
    path = write_topology(file, collection, library=library, shard_timeout=PATIENCE, max_deadline=PATIENCE)
    values = {**settings.of_folder(made.folder), "callers": "certificate"}
    lines = ["[access]", *(f"{name} = {json.dumps(value)}" for name, value in values.items())]
    text = path.read_text().replace('log_level = "warning"', 'log_level = "debug"')
    path.write_text("\n".join([text, *lines]))
    return path


def admin(service: Service, made: Credentials, token: str, *words: str) -> str:
    """Return what `spr admin` prints, on both streams."""
    said = {"SPR_CA": "authority.pem", "SPR_CERT": "web.pem", "SPR_KEY": "web-key.pem"}
    said = {name: str(made.folder / file) for name, file in said.items()}
    command = ["admin", *words, "--address", service.ready["admin"]]
    return CliRunner().invoke(cli, command, env={**said, "SPR_TOKEN": token}).output


def shown(service: Service, made: Credentials) -> Any:
    """Return the number of the certificate that the service shows to whoever connects now."""
    context = ssl.create_default_context(cafile=made.authority)
    context.load_cert_chain(made.folder / "web.pem", made.folder / "web-key.pem")
    host, _, port = service.address.rpartition(":")
    with (
        socket.create_connection((host, int(port))) as plain,
        context.wrap_socket(plain, server_hostname=host) as connection,
    ):
        about: Any = connection.getpeercert()
        return about["serialNumber"]


def change_all(service: Service, made: Credentials, searching: _Searching, token: Path) -> list[str]:
    """Replace the token and both sides' certificates while they are used; return the tokens."""
    old, new = token.read_text(), made.add("search-only", "search")
    searching.more()
    with replacing(token) as partial:
        partial.write_text(new)
    before = shown(service, made)
    making.make(made.folder, [], 30, ["web"])
    until(lambda: shown(service, made) != before)
    searching.more()
    tokens.revoke(made.folder / settings.TOKENS, "search-only", keep_newest=True)
    searching.more(100)
    return [old, new]


def test_certificates_and_tokens_change_while_a_client_searches(collection: Path, tmp_path: Path) -> None:
    made = make(tmp_path / "access")
    token, log = tmp_path / "token", tmp_path / "log.jsonl"
    token.write_text(made.tokens["search"])
    operator = made.add("operator", "write", "admin")
    with running(log, str(topology_of(tmp_path, collection, made))) as service:
        tls = Tls(made.authority, made.folder / "web.pem", made.folder / "web-key.pem")
        with Client(service.address, tls=tls, token=token) as client:
            until(lambda: not client.search(TEXTS[0]).coverage.degraded)
            searching = _Searching(client)
            used = change_all(service, made, searching, token)
            told = searching.end()
        assert [one for one in told if not isinstance(one, SearchResult) or one.coverage.degraded] == []
        # Workers are asked over mutual TLS, and nobody else can ask them.
        said = [admin(service, made, operator, "status")]
        assert said[0].count(" serving ") == 4
        said += [admin(service, made, operator, "add", str(tmp_path / "elsewhere.mp4"))]
        assert "lies outside of the roots that the library may use" in said[1]
        until(lambda: "the token is not known here" in admin(service, made, used[0], "status"))
        said += [Path(f"/proc/{pid}/cmdline").read_text() for pid in service.children()]
    said += [log.read_text(), str(told)]
    # No secret is told to anybody: neither a token nor a line of a key.
    secrets = [*used, operator, *made.tokens.values()]
    for file in made.folder.glob("*-key.pem"):
        secrets += [line for line in file.read_text().splitlines() if not line.startswith("-")]
    assert [secret for secret in secrets for text in said if secret in text] == []
