"""The files that a client reads: of its token, and of certificates; and a certificate that has ended."""

import ssl
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest

import spr_client
from engine.access import making
from engine.access.settings import CERTIFICATE, KEY
from spr_client import Client, Tls, access
from tests.engine.credentials import make


def test_files_that_are_replaced_while_they_are_read_are_not_mixed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "INTERVAL", 0.0)
    certificate, key = tmp_path / "web.pem", tmp_path / "web-key.pem"
    made, other = make(tmp_path / "made"), make(tmp_path / "other").folder

    def put(folder: Path, *files: Path) -> None:
        for file in files:
            file.write_bytes((folder / file.name).read_bytes())

    put(made.folder, certificate, key)
    mine = access.Access("127.0.0.1:1", Tls(made.authority, certificate, key))
    first = mine.credentials
    check = ssl.SSLContext.load_cert_chain

    def replaced(*words: Any, **named: Any) -> None:
        check(*words, **named)
        put(other, key)

    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", replaced)
    key.touch()
    assert mine.credentials is first
    monkeypatch.undo()
    monkeypatch.setattr(access, "INTERVAL", 0.0)
    assert mine.credentials is first
    put(other, certificate)
    assert mine.credentials is not first


@pytest.mark.parametrize("text", ["", "two words", "not \u00fc ascii", "line\nline"])
def test_a_file_without_a_token_is_named_and_not_quoted(tmp_path: Path, text: str) -> None:
    file = tmp_path / "token"
    file.write_text(text)
    with pytest.raises(spr_client.InvalidInput, match="holds no token") as caught:
        Client("127.0.0.1:1", token=file)
    assert not text or text not in str(caught.value)


@pytest.mark.parametrize(
    ("skew", "lasts", "said"),
    [
        (
            timedelta(hours=1),
            timedelta(minutes=-1),
            "has ended, or this clock is ahead; `spr access",
        ),
        (timedelta(hours=-1), timedelta(hours=2), "is not valid yet by this clock"),
    ],
)
def test_a_certificate_out_of_its_time_is_told_from_another_authoritys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, skew: timedelta, lasts: timedelta, said: str
) -> None:
    making.make(tmp_path, [], 30)
    monkeypatch.setattr(making, "_SKEW", skew)
    monkeypatch.setattr(making, "timedelta", lambda days: lasts)
    making.make(tmp_path, [], 30)
    key, certificate = ((tmp_path / name).read_bytes() for name in (KEY, CERTIFICATE))
    server = grpc.server(ThreadPoolExecutor(1))
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(key, certificate)]))
    server.start()
    with Client(f"127.0.0.1:{port}", tls=Tls(tmp_path / "authority.pem")) as client:
        with pytest.raises(spr_client.Unauthenticated) as caught:
            client.search("a ball", timeout=60)
    assert said in str(caught.value)
    server.stop(None)
