"""A client of several coordinators asks another one where the first is late, within a budget."""

import asyncio
import contextlib
import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest

from spr.v1 import search_service_pb2, search_service_pb2_grpc
from spr_client import AsyncClient, Client, hedging
from spr_client.hedging import Hedges
from tests.engine.asking import TEXT


class Held(search_service_pb2_grpc.SearchServiceServicer):
    """Answers when `open` is set, with its name; `instead` may refuse. ended: a search's caller has gone."""

    def __init__(self, name: str) -> None:
        self.name, self.calls = name, 0
        self.instead: Callable[[Any], None] = lambda _: None
        self.open, self.ended = threading.Event(), threading.Event()

    def Search(self, request: Any, context: Any) -> search_service_pb2.SearchResponse:
        self.calls += 1
        self.instead(context)
        context.add_callback(self.ended.set)
        self.open.wait(20)
        return search_service_pb2.SearchResponse(request_id=self.name)


@contextlib.contextmanager
def two() -> Iterator[tuple[list[Held], list[str]]]:
    held = [Held(name) for name in ("first", "second")]  # type: ignore[abstract]
    servers, addresses = [], []
    for servicer in held:
        servers.append(server := grpc.server(ThreadPoolExecutor(4)))
        search_service_pb2_grpc.add_SearchServiceServicer_to_server(servicer, server)
        addresses.append(f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}")
        server.start()
    try:
        yield held, addresses
    finally:
        for servicer, server in zip(held, servers, strict=True):
            servicer.open.set()
            server.stop(None)


@pytest.fixture
def in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first address is asked first, and another one at once where it is late."""
    monkeypatch.setattr(random, "shuffle", lambda _: None)
    monkeypatch.setattr(Hedges, "FIRST", 0.02)


def answered_by(addresses: list[str], asynchronous: bool, searches: int) -> list[str]:
    async def search() -> list[str]:
        async with AsyncClient(addresses) as client:
            return [(await client.search(TEXT)).request_id for _ in range(searches)]

    if asynchronous:
        return asyncio.run(search())
    with Client(addresses) as client:
        return [client.search(TEXT).request_id for _ in range(searches)]


@pytest.mark.usefixtures("in_order")
@pytest.mark.parametrize("asynchronous", [False, True])
def test_another_coordinator_answers_for_a_late_one_and_is_asked_first_in_the_end(asynchronous: bool) -> None:
    with two() as (held, addresses):
        held[1].open.set()
        assert answered_by(addresses, asynchronous, 6) == 6 * ["second"]
        assert held[0].ended.wait(10)
    assert held[0].calls == Hedges.LOSSES


@pytest.mark.usefixtures("in_order")
@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_late_answer_is_taken_where_the_hedge_fails(asynchronous: bool) -> None:
    with two() as (held, addresses):

        def refuse(context: Any) -> None:
            held[0].open.set()
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "full")

        held[1].instead = refuse
        assert answered_by(addresses, asynchronous, 1) == ["first"]


def test_a_twentieth_of_the_searches_is_hedged_and_ten_more() -> None:
    hedges, hedged = Hedges(2), 0
    for _ in range(1000):
        first, _ = hedges.begin()
        hedged += hedges.other(first) is not None
        hedges.answered(1.0, first, first)
    assert 50 <= hedged <= 60


def test_a_hedge_comes_after_95_of_100_answers_and_goes_to_each_other_in_turn() -> None:
    hedges = Hedges(3)
    assert hedges.begin()[1] == Hedges.FIRST
    for number in range(100):
        hedges.answered(number / 100, 0, 0)
    assert 0.85 <= hedges.begin()[1] <= 0.95
    assert {hedges.other(1) for _ in range(2)} == {0, 2}
    for _ in range(Hedges.WINDOW):
        hedges.answered(0.001, 0, 0)
    assert hedges.begin()[1] == Hedges.SHORTEST


def slowed(searches: int) -> tuple[list[float], int]:
    """Return the seconds of searches with a first coordinator that runs 50 of each 100 ms, and the hedges."""
    hedges, now, hedged, took = Hedges(2), 0.0, 0, []

    def ends(way: int, began: float) -> float:
        late = 0.05 - began % 0.1 if way == 0 and began % 0.1 < 0.05 and began > 10 else 0.0
        return began + late + 0.02

    for _ in range(searches):
        first, patience = hedges.begin()
        over, by = ends(first, now), first
        if over > now + patience and (second := hedges.other(first)) is not None:
            hedged += 1
            over, by = min((over, by), (ends(second, now + patience), second))
        hedges.answered(over - now, first, by)
        took.append(over - now)
        now += 0.173
    return took, hedged


def test_a_coordinator_that_runs_half_of_the_time_is_left() -> None:
    took, hedged = slowed(1000)
    assert sorted(took)[990] <= 0.05
    assert hedged <= hedging.Hedges.BURST
