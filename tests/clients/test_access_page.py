"""What the page's process asks of a service with access control, and what follows its files."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request

import spr_client
from engine.access import making
from spr_client import Feedback, Tls, access
from spr_gateway.judging import Judging
from spr_gateway.searches import Searches
from spr_gateway.shelf import Shelf
from spr_gateway.upstream import Upstream
from tests.clients.test_access import Service
from tests.clients.test_access import service as service


def asked(query: str = "") -> Request:
    return Request({"type": "http", "method": "GET", "headers": [], "query_string": query.encode()})


def test_a_page_whose_token_may_only_search_lists_what_is_on_its_shelf(service: Service) -> None:
    def listed(token: str) -> bytes:
        async def run() -> bytes:
            upstream = Upstream([service.address], service.admin, service.tls, service.made.tokens[token])
            shelf = Shelf(service.topology.directories)
            try:
                return bytes((await Searches(upstream, shelf, lambda _: b"").collections(asked())).body)
            finally:
                await upstream.close()

        return asyncio.run(run())

    assert listed("search") == listed("admin")
    with pytest.raises(spr_client.Unauthenticated, match="not known here"):
        listed("unknown")


def test_all_that_the_page_asks_follows_the_files(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "INTERVAL", 0.0)
    making.make(tmp_path / "other", [], 30)
    authority, sound = tmp_path / "authority.pem", service.made.authority.read_bytes()
    token = service.made.tokens["admin"]

    async def run() -> None:
        upstream = Upstream([service.address], service.admin, Tls(authority), token)
        judging = Judging([service.address], Tls(authority), token)
        with Feedback(service.address, tls=Tls(authority), token=token) as feedback:
            calls = (
                upstream.collections,
                lambda: judging.judgements(asked("q=a")),
                lambda: asyncio.to_thread(lambda: list(feedback.judgements())),
            )
            for pem in (sound, Path(tmp_path, "other", "authority.pem").read_bytes(), sound):
                authority.write_bytes(pem)
                for one in calls:
                    assert await _reason(one) == ("" if pem == sound else "TLS_FAILED")
        await upstream.close()
        await judging.close()

    authority.write_bytes(sound)
    asyncio.run(run())


async def _reason(ask: Any) -> str:
    """Return why a call failed; "" for one that reached the service, which keeps no judgements here."""
    try:
        await ask()
    except spr_client.SearchError as error:
        return "" if error.reason == "NO_LIBRARY" else error.reason
    return ""
