"""The Python client asks again where a coordinator ended its call."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
import grpc.aio
import pytest

import spr_client
from engine import errors, faults
from spr.v1 import search_service_pb2, search_service_pb2_grpc
from spr_client import AsyncClient, Client
from spr_client.retrying import Retries
from spr_gateway.upstream import Upstream
from tests.engine.asking import TEXT


class Ends(search_service_pb2_grpc.SearchServiceServicer):
    """Ends the first call as a coordinator does that stops, or as one that refuses; answers the next ones."""

    def __init__(self, code: grpc.StatusCode, refusal: errors.SprError | None) -> None:
        self.code, self.refusal, self.calls = code, refusal, 0

    def Search(self, request: Any, context: Any) -> search_service_pb2.SearchResponse:
        self.calls += 1
        if self.calls == 1 and self.refusal:
            context.abort_with_status(faults.grpc_status(self.refusal))
        if self.calls == 1:
            context.abort(self.code, "")
        return search_service_pb2.SearchResponse()

    def ProgressiveSearch(
        self, request: Any, context: Any
    ) -> Iterator[search_service_pb2.ProgressiveSearchResponse]:
        yield search_service_pb2.ProgressiveSearchResponse(response=self.Search(request, context))

    def Explain(self, request: Any, context: Any) -> search_service_pb2.ExplainResponse:
        self.Search(request, context)
        return search_service_pb2.ExplainResponse()


@contextmanager
def ending(
    code: grpc.StatusCode, refusal: errors.SprError | None = None, address: str = "127.0.0.1:0"
) -> Iterator[tuple[Ends, str]]:
    server, servicer = grpc.server(ThreadPoolExecutor(2)), Ends(code, refusal)  # type: ignore[abstract]
    search_service_pb2_grpc.add_SearchServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port(address)
    server.start()
    yield servicer, f"127.0.0.1:{port}"
    server.stop(None).wait()


@pytest.mark.parametrize("code", [grpc.StatusCode.CANCELLED, grpc.StatusCode.UNAVAILABLE])
def test_a_call_that_a_stopping_coordinator_ends_is_asked_again(code: grpc.StatusCode) -> None:
    with ending(code) as (server, address), Client(address) as client:
        client.search(TEXT)
    assert server.calls == 2

    async def search(address: str) -> None:
        async with AsyncClient(address) as client:
            await client.search(TEXT)

    with ending(code) as (server, address):
        asyncio.run(search(address))
    assert server.calls == 2


@pytest.mark.parametrize("error", [errors.Overloaded("full"), errors.Unavailable("no shard", "NO_SHARDS")])
def test_what_a_coordinator_refuses_for_now_is_asked_again_when_it_says(error: errors.SprError) -> None:
    error.retry_after = 0.001
    asked: list[Callable[[Any], Any]] = [lambda one: one.search(TEXT), lambda one: one.explain(TEXT, "talk")]

    async def ask(address: str, call: Callable[[Any], Any]) -> None:
        async with AsyncClient(address) as client:
            await call(client)

    for call in asked:
        with ending(grpc.StatusCode.UNAVAILABLE, error) as (server, address), Client(address) as client:
            call(client)
        assert server.calls == 2
        with ending(grpc.StatusCode.UNAVAILABLE, error) as (server, address):
            asyncio.run(ask(address, call))
        assert server.calls == 2


@pytest.mark.parametrize(
    ("error", "timeout", "retries"),
    [
        (errors.Overloaded("full", retry_after=0.001), 10.0, 0),
        (errors.Overloaded("full", retry_after=10.0), 10.0, 3),
        (errors.InvalidInput("wrong"), 10.0, 3),
    ],
    ids=["switched off", "no time left", "never better"],
)
def test_other_refusals_are_told_at_once(error: errors.SprError, timeout: float, retries: int) -> None:
    with ending(grpc.StatusCode.UNAVAILABLE, error) as (server, address):
        with Client(address, retries=retries) as client, pytest.raises(spr_client.SearchError) as caught:
            client.search(TEXT, timeout=timeout)
    assert server.calls == 1
    assert caught.value.retry_after == error.retry_after


def test_a_retry_waits_as_long_as_told_or_up_to_twice_and_its_number_is_limited() -> None:
    error = spr_client.Overloaded("full", retry_after=2.0)
    error.refused = True
    attempts = Retries(2).attempts(None)
    assert all(2.0 <= attempts.delay(error) <= 4.0 for _ in range(2))
    with pytest.raises(spr_client.Overloaded):
        attempts.delay(error)


def test_a_call_and_its_retries_end_within_the_timeout() -> None:
    now = [0.0]
    error = spr_client.Overloaded("full", retry_after=1.0)
    error.refused = True
    attempts = Retries(100).attempts(10.0, lambda: now[0])
    with contextlib.suppress(spr_client.Overloaded):
        while True:
            now[0] += attempts.delay(error)
            assert 0 < (attempts.left() or 0.0) < 10.0
    assert now[0] > 5.0
    assert now[0] < 10.0


def test_a_client_that_is_always_refused_adds_a_tenth_of_retries_to_its_load() -> None:
    error = spr_client.Overloaded("full", retry_after=1.0)
    error.refused = True
    client, retried = Retries(3), 0
    for _ in range(1000):
        attempts = client.attempts(None)
        with contextlib.suppress(spr_client.Overloaded):
            while True:
                attempts.delay(error)
                retried += 1
    assert 100 <= retried <= 115


@contextmanager
def _away_after_an_answer(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Callable[[], None]]]:
    """Yield the address of a coordinator, and what ends it; it is started again when somebody waits."""
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(contextlib.ExitStack())
        _, address = first.enter_context(ending(grpc.StatusCode.CANCELLED))

        def start(delay: float) -> None:
            server, _ = stack.enter_context(ending(grpc.StatusCode.CANCELLED, address=address))
            server.calls = 1

        async def start_soon(delay: float) -> None:
            start(delay)

        def end() -> None:
            first.close()
            monkeypatch.setattr("time.sleep", start)
            monkeypatch.setattr("asyncio.sleep", start_soon)

        yield address, end


@pytest.mark.parametrize(
    "ask", [lambda client: client.search(TEXT), lambda client: list(client.search_progressive(TEXT))]
)
def test_a_coordinator_that_is_started_again_after_an_answer_loses_no_search(
    ask: Callable[[Client], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    with _away_after_an_answer(monkeypatch) as (address, end), Client(address) as client:
        ask(client)
        end()
        ask(client)


@pytest.mark.parametrize("of", ["client", "stream", "page"])
def test_so_does_it_for_who_asks_without_threads(of: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def answered(client: AsyncClient, upstream: Upstream) -> None:
        if of == "client":
            await client.search(TEXT)
            return
        asked = search_service_pb2.SearchRequest(text=TEXT)
        stream: AsyncIterator[Any] = (
            client.search_progressive(TEXT) if of == "stream" else upstream.search(asked)
        )
        assert [True async for _ in stream]

    async def run(address: str, end: Callable[[], None]) -> None:
        upstream = Upstream([address], address)
        async with AsyncClient(address) as client:
            await answered(client, upstream)
            end()
            await answered(client, upstream)
        await upstream.close()

    with _away_after_an_answer(monkeypatch) as (address, end):
        asyncio.run(run(address, end))


def test_nobody_there_is_told_at_once_by_who_never_answered_and_after_a_call_in_vain() -> None:
    away = spr_client.Unavailable("nobody", "UNAVAILABLE", retry_after=1.0)
    client = Retries(2)

    def waits(timeout: float | None = None) -> int:
        attempts, count = client.attempts(timeout), 0
        with contextlib.suppress(spr_client.Unavailable):
            while True:
                attempts.delay(away)
                count += 1
        return count

    assert waits() == 0
    client.attempts(None).answered(None)
    # One that has no time to wait has not waited in vain.
    assert (waits(0.1), waits(), waits()) == (0, 2, 0)
    # A refusal is an answer.
    refusal = spr_client.InvalidInput("wrong")
    refusal.refused = True
    with pytest.raises(spr_client.InvalidInput):
        client.attempts(None).delay(refusal)
    assert waits() == 2
    # Who is not there has no load: many at once are not held back by the budget.
    client = Retries(2)
    for _ in range(20):
        client.attempts(None).answered(None)
        assert waits() == 2


def test_an_unknown_number_of_retries_is_refused() -> None:
    for retries in (-1, True, 1.5, 101):
        with pytest.raises(spr_client.InvalidInput, match="retries is"):
            Client(retries=retries)  # type: ignore[arg-type]
