"""Requests to a worker that come at the same time, over real gRPC."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import grpc.aio
import pytest

from engine import faults, servers
from engine.admission import Admission
from engine.errors import Mismatch, WrongPort
from engine.together import AT_ONCE, MOST, Together
from spr.internal.v1 import index_shard_service_pb2 as pb
from spr.internal.v1.index_shard_service_pb2_grpc import (
    IndexShardServiceServicer,
    IndexShardServiceStub,
    add_IndexShardServiceServicer_to_server,
)


class _Worker(IndexShardServiceServicer):
    """Answers with the shard's name when `go` is set. calls: requests of each call; gone: cancelled ones."""

    def __init__(self) -> None:
        self.calls: list[int] = []
        self.gone = 0
        self.go = asyncio.Event()

    async def SearchSegments(self, request: Any, context: Any) -> Any:
        self.calls.append(1)
        await self.go.wait()
        return pb.SearchSegmentsResponse(shard=request.shard)

    async def SearchTogether(self, request: Any, context: Any) -> Any:
        # As a worker of a release does that has no such method.
        raise WrongPort("/spr.internal.v1.IndexShardService/SearchTogether is not served at this port")

    async def GetShardInfo(self, request: Any, context: Any) -> Any:
        return pb.GetShardInfoResponse()


class _New(_Worker):
    """Refuses "bad" and leaves "short" out."""

    async def SearchTogether(self, request: Any, context: Any) -> Any:
        self.calls.append(len(request.requests))
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.gone += 1
            raise
        response = pb.SearchTogetherResponse()
        for one in request.requests:
            if one.shard == "bad":
                status = faults.status_of(Mismatch("of another version", "GENERATION_MISMATCH"))
                response.outcomes.add(status=status)
            elif one.shard != "short":
                response.outcomes.add(response=pb.SearchSegmentsResponse(shard=one.shard))
        return response


def _run(kind: type[_Worker], ask: Callable[[_Worker, Any], Awaitable[None]]) -> None:
    async def run() -> None:
        server, worker = servers.aio_server(Admission(100)), kind()
        add_IndexShardServiceServicer_to_server(worker, server)
        address = servers.bind(server, "127.0.0.1:0")
        await server.start()
        try:
            async with grpc.aio.insecure_channel(address) as channel:
                stub: Any = IndexShardServiceStub(channel)
                methods = stub.SearchSegments, stub.SearchTogether
                await ask(worker, Together(*methods, pb.SearchTogetherRequest))
        finally:
            await server.stop(None)

    asyncio.run(run())


def _asked(together: Any, names: list[str], timeout: float = 30.0) -> "list[asyncio.Task[Any]]":
    return [asyncio.create_task(together(pb.SearchSegmentsRequest(shard=name), timeout)) for name in names]


async def _answers(together: Any, names: list[str]) -> list[Any]:
    """Return answers and errors."""
    return await asyncio.gather(*_asked(together, names), return_exceptions=True)


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.001)


@pytest.mark.parametrize("kind", [_New, _Worker])
def test_each_gets_its_own_answer_also_from_a_worker_that_knows_none_together(kind: type[_Worker]) -> None:
    names = [f"{number}" for number in range(AT_ONCE + MOST + 3)]

    async def ask(worker: _Worker, together: Any) -> None:
        worker.go.set()
        for _ in range(2):
            answers = await asyncio.gather(*_asked(together, names))
            assert [answer.shard for answer in answers] == names
        assert (max(worker.calls) > 1) is (kind is _New)
        assert max(worker.calls) <= MOST

    _run(kind, ask)


def test_few_go_at_once_and_alone() -> None:
    async def ask(worker: _Worker, together: Any) -> None:
        asked = _asked(together, ["a"] * AT_ONCE)
        await _until(lambda: worker.calls == [1] * AT_ONCE)
        worker.go.set()
        await asyncio.gather(*asked)

    _run(_New, ask)


def test_a_full_message_does_not_wait_and_after_several_those_of_a_turn_go_together() -> None:
    async def ask(worker: _Worker, together: Any) -> None:
        asked = _asked(together, ["a"] * (AT_ONCE + MOST))
        await asyncio.sleep(0)
        assert not together._waiting
        await _until(lambda: sorted(worker.calls) == [1] * AT_ONCE + [MOST])
        worker.go.set()
        await asyncio.gather(*asked)
        worker.calls.clear()
        await asyncio.gather(*_asked(together, ["b"] * 3))
        for _ in range(2):
            await asyncio.gather(*_asked(together, ["c"]))
        assert worker.calls == [3, 1, 1]

    _run(_New, ask)


def test_one_that_is_refused_or_left_out_is_no_other_ones_failure() -> None:
    async def ask(worker: _Worker, together: Any) -> None:
        worker.go.set()
        *_, good, bad = await _answers(together, ["x"] * AT_ONCE + ["good", "bad"])
        assert good.shard == "good"
        assert (bad.code(), faults.reason_of(bad)) == (
            grpc.StatusCode.FAILED_PRECONDITION,
            "GENERATION_MISMATCH",
        )
        *_, first, second = await _answers(together, ["x"] * AT_ONCE + ["a", "short"])
        assert isinstance(first, Mismatch)
        assert isinstance(second, Mismatch)

    _run(_New, ask)


def test_nobody_waits_longer_than_its_own_time_and_who_has_gone_is_not_sent() -> None:
    async def ask(worker: _Worker, together: Any) -> None:
        first = _asked(together, ["a"] * AT_ONCE)
        await _until(lambda: len(worker.calls) == AT_ONCE)
        gone, late = _asked(together, ["gone"])[0], _asked(together, ["late"], 0.0)[0]
        await asyncio.sleep(0)
        gone.cancel()
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await late
        assert failed.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        worker.go.set()
        await asyncio.gather(*first, *_asked(together, ["b"]))
        assert sum(worker.calls) == AT_ONCE + 1

    _run(_New, ask)


def test_requests_that_are_large_together_go_apart() -> None:
    async def ask(worker: _Worker, together: Any) -> None:
        worker.go.set()
        names = [f"{number}".ljust(900_000) for number in range(AT_ONCE + MOST)]
        answers = await _answers(together, names)
        assert [answer.shard for answer in answers] == names

    _run(_New, ask)


def test_a_call_that_nobody_waits_for_is_cancelled() -> None:
    async def ask(worker: _Worker, together: Any) -> None:
        asked = _asked(together, [f"{number}" for number in range(AT_ONCE + 3)])
        await _until(lambda: sorted(worker.calls) == [1] * AT_ONCE + [3])
        *others, last = asked[AT_ONCE:]
        for one in others:
            one.cancel()
        await asyncio.wait(others)
        assert together._sending
        last.cancel()
        await _until(lambda: worker.gone == 1)
        worker.go.set()
        assert [(await one).shard for one in asked[:AT_ONCE]] == ["0", "1"]

    _run(_New, ask)


def test_a_worker_that_is_gone_is_unavailable_to_all() -> None:
    async def run() -> None:
        async with grpc.aio.insecure_channel("127.0.0.1:1") as channel:
            stub: Any = IndexShardServiceStub(channel)
            together: Any = Together(stub.SearchSegments, stub.SearchTogether, pb.SearchTogetherRequest)
            failed = await _answers(together, ["a"] * 6)
            assert {error.code() for error in failed} == {grpc.StatusCode.UNAVAILABLE}

    asyncio.run(run())
