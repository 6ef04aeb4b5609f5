"""`spr doctor` of a topology: every port of its processes, and what its [access] table names."""

import contextlib
import socket
from pathlib import Path

import pytest

from engine import config, exporter
from engine.access import settings
from engine.errors import InvalidInput
from spr_cli import doctor_access, doctor_service
from spr_gateway import __main__ as page
from tests.engine.credentials import make
from trainer.library.standing.asking import Asking

TOPOLOGY = """
collection = "c"
[[coordinator]]
listen = "127.0.0.1:{0}"
admin = "127.0.0.1:{1}"
[[coordinator]]
listen = "127.0.0.1:{2}"
admin = "127.0.0.1:{3}"
[[index]]
shard = 0
listen = "127.0.0.1:{4}"
metrics = "127.0.0.1:{5}"
[[ranker]]
listen = "127.0.0.1:{6}"
[page]
listen = "127.0.0.1:{7}"
metrics = "127.0.0.1:{8}"
"""
ACCESS = """
[access]
certificate = "fleet.pem"
key = "fleet-key.pem"
authority = "authority.pem"
tokens = "tokens.toml"
[page]
token = "page.token"
"""


def test_every_port_of_a_topology_is_looked_at(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        ports = []
        for _ in range(9):
            taken = stack.enter_context(socket.socket())
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            taken.settimeout(0)
            ports.append(taken.getsockname()[1])
        file = tmp_path / "topology.toml"
        file.write_text(TOPOLOGY.format(*ports), encoding="utf-8")
        stack.callback(setattr, doctor_service, "PATIENCE", doctor_service.PATIENCE)
        doctor_service.PATIENCE = 0.05
        said = [one.said for one in doctor_service.findings(config.read(file)) if one.severity == "error"]
    for port in ports:
        assert any(f"another program listens at 127.0.0.1:{port}: stop it" in one for one in said)
    assert len(said) == len(ports)


def test_metrics_of_a_process_are_its_own() -> None:
    address = exporter.listen("127.0.0.1:0")
    try:
        assert doctor_service._port(address, doctor_service._is_page_or_metrics) is None
    finally:
        exporter.close()


def test_what_a_table_of_access_names_is_looked_at(tmp_path: Path) -> None:
    made = make(tmp_path)
    file, token, key = tmp_path / "topology.toml", tmp_path / "page.token", tmp_path / settings.KEY
    file.write_text(TOPOLOGY.format(*range(1, 10)).partition("[page]")[0] + ACCESS, encoding="utf-8")
    topology = config.read(file)

    def errors() -> list[str]:
        return [one.said for one in doctor_access.findings(topology) if one.severity == "error"]

    (said,) = errors()
    assert f"{token}, the token of [page], cannot be read" in said
    assert f"spr access token page --scope search --folder {tmp_path} > {token}" in said
    for kind, why in (
        ("search", ""),
        ("write", "may not search"),
        ("expired", "is refused"),
        ("unknown", "not known"),
    ):
        token.write_text(made.tokens[kind])
        assert [why in one for one in errors()] == [True] * bool(why)
    token.write_text(made.tokens["search"])
    key.write_bytes((tmp_path / "web-key.pem").read_bytes())
    (said,) = errors()
    assert f"{key} is not the key of" in said
    key.unlink()
    (tmp_path / settings.TOKENS).unlink()
    assert [one.partition(" does not exist")[0] for one in errors()] == [
        str(key),
        str(tmp_path / settings.TOKENS),
    ]


def test_a_token_that_is_missing_is_a_sentence_of_the_process(tmp_path: Path) -> None:
    make(tmp_path)
    front = TOPOLOGY.format(*range(1, 10)).partition("[page]")[0]
    library = '[library]\nlisten = "127.0.0.1:10"\ntoken = "library.token"\n'
    file = tmp_path / "topology.toml"
    file.write_text(front + ACCESS + library, encoding="utf-8")
    topology = config.read(file)
    assert topology.page is not None
    assert topology.library is not None
    with pytest.raises(InvalidInput, match=r"page.token cannot be read: .* as token under \[page\]"):
        page._upstream(topology, topology.page)
    with pytest.raises(InvalidInput, match=r"library.token cannot be read: .* as token under \[library\]"):
        Asking(topology, topology.library)
