"""The files that a client reads: of its token, and of certificates."""

import ssl
from pathlib import Path
from typing import Any

import pytest

import spr_client
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
