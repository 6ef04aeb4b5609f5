import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from engine import reloaded
from engine.access import tokens
from engine.access.guard import CallerGuard
from engine.access.tokens import Tokens
from engine.admission import Admission
from engine.errors import InvalidInput, NotFound, Unauthenticated
from engine.files import replacing
from engine.interceptors import Interceptor
from tests.engine.credentials import bearer

ENTRY = f"""[[token]]
name = "web"
scopes = ["search"]
sha256 = "{64 * "0"}"
created = 2026-01-23T12:15:11Z
"""
NOW = datetime(2026, 1, 23, 12, 0, tzinfo=UTC)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the path of tokens; each use looks at it."""
    monkeypatch.setattr(reloaded, "INTERVAL", 0.0)
    return tmp_path / "access" / "tokens.toml"


def reason(known: Tokens, token: str) -> str:
    with pytest.raises(Unauthenticated) as caught:
        known.of(token)
    assert token not in str(caught.value)
    return caught.value.reason


def test_two_tokens_of_a_name_are_valid_until_the_old_one_is_revoked(file: Path) -> None:
    old = tokens.add(file, "web", ["search"], None, NOW)
    known = Tokens(file)
    new = tokens.add(file, "web", ["search", "write"], None, NOW)
    assert [known.of(old).scopes, known.of(new).scopes] == [("search",), ("search", "write")]
    (gone,) = tokens.revoke(file, "web", keep_newest=True)
    assert gone.scopes == ("search",)
    assert reason(known, old) == "TOKEN_UNKNOWN"
    assert known.of(new).name == "web"
    tokens.revoke(file, "web", keep_newest=False)
    assert reason(known, new) == "TOKEN_UNKNOWN"


def test_a_token_ends_when_it_expires(file: Path) -> None:
    token = tokens.add(file, "late", ["search"], NOW, NOW)
    assert reason(Tokens(file), token) == "TOKEN_EXPIRED"


def test_the_file_holds_no_token(file: Path) -> None:
    token = tokens.add(file, "web", ["search"], None, NOW)
    assert token.startswith("spr_")
    assert token not in file.read_text()
    assert token.removeprefix("spr_") not in file.read_text()


@pytest.mark.parametrize("half", ["", "[[token]]\nname = ", "[[token]]\nname = 'web'\n", None])
def test_a_file_that_cannot_be_used_leaves_the_tokens_of_before_and_is_told_once(
    file: Path, half: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    token = tokens.add(file, "web", ["search"], None, NOW)
    known = Tokens(file)
    whole = file.read_text()
    if half is None:
        file.unlink()
    else:
        file.write_text(half)
    for _ in range(4):
        assert known.of(token).name == "web"
    assert caplog.text.count("what it was before is used on") == 1
    assert str(file) in caplog.text
    with replacing(file) as partial:
        partial.write_text(whole.replace("web", "another"))
    assert known.of(token).name == "another"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no token; make it with"),
        ("token = 3", "token = 3 is not of type tuple"),
        (ENTRY.replace('"web"', '"a b"'), "'a b' cannot be used"),
        (ENTRY.replace('["search"]', "[]"), "no scopes"),
        (ENTRY.replace('["search"]', '["all"]'), "'all' is not one of"),
        (ENTRY.replace("00", "xx"), "64 hex"),
        (ENTRY.replace("Z", ""), "no zone"),
    ],
)
def test_what_is_wrong_in_the_file_is_named(file: Path, text: str, message: str) -> None:
    file.parent.mkdir()
    file.write_text(text)
    with pytest.raises(InvalidInput, match=message) as caught:
        tokens.read(file)
    assert str(file) in str(caught.value)


def test_a_name_that_cannot_be_used_or_is_not_there_changes_nothing(file: Path) -> None:
    tokens.add(file, "web", ["search"], None, NOW)
    before = file.read_bytes()
    with pytest.raises(InvalidInput, match="cannot be used"):
        tokens.add(file, 'a"\n', ["search"], None, NOW)
    with pytest.raises(NotFound, match="there are: web"):
        tokens.revoke(file, "nobody", keep_newest=False)
    assert file.read_bytes() == before


def test_a_stream_ends_when_its_token_is_revoked(file: Path) -> None:
    token = tokens.add(file, "web", ["search"], None, NOW)
    written: list[bytes] = []

    async def answer() -> None:
        taken = asyncio.Event()

        class Context:
            def invocation_metadata(self) -> Any:
                return bearer(token)

            def time_remaining(self) -> None:
                return None

            async def write(self, reply: bytes) -> None:
                written.append(reply)
                taken.set()

        async def matches(_request: bytes, _context: Any) -> AsyncIterator[bytes]:
            yield b"before"
            await taken.wait()
            tokens.revoke(file, "web", keep_newest=False)
            yield b"after"

        served = Interceptor(Admission(1), guard=CallerGuard(Tokens(file)))
        await served._stream("/spr.v1.StandingService/WatchMatches", bytes, matches, b"", Context())

    with pytest.raises(Unauthenticated):
        asyncio.run(answer())
    assert written == [b"before"]
