import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import grpc.aio
import pytest

from engine.errors import Mismatch, Unavailable
from engine.hedging import Hedging
from engine.racing import NOT_HELD
from engine.replica_health import EJECT_AFTER, Health
from engine.replicas import Replicas


def answered(attempt: Callable[[str], Awaitable[str]], out: tuple[int, ...] = (), **options: Any) -> str:
    """Return what two replicas, "0" and "1", answer; those of `out` are ejected."""

    async def run() -> str:
        replicas: Replicas[str] = Replicas("shard", ["h:1", "h:2"], lambda _: "")
        for i, member in enumerate(replicas.members):
            member.stub = str(i)
            for _ in range(EJECT_AFTER * (i in out)):
                member.health.failed("slow")
        try:
            return await replicas.call(attempt, Hedging(), **options)
        finally:
            await replicas.close()

    return asyncio.run(run())


def test_an_ejected_replica_is_asked_when_the_healthy_one_stalls() -> None:
    async def attempt(stub: str) -> str:
        if stub == "1":
            await asyncio.sleep(60)
        return stub

    assert answered(attempt, out=(0,), hedge_after=0.01) == "0"


def test_an_unusable_answer_fails_over_to_the_other_replica() -> None:
    asked = []

    async def attempt(stub: str) -> str:
        asked.append(stub)
        if len(asked) == 1:
            raise Mismatch("it is of another version")
        return stub

    assert answered(attempt) == asked[1]
    assert sorted(asked) == ["0", "1"]


def test_failures_are_counted_and_logged_once_they_eject_a_replica() -> None:
    async def run() -> int:
        replicas: Replicas[str] = Replicas("shard", ["h:1", "h:2"], lambda _: "")

        async def attempt(stub: str) -> str:
            if stub == "bad":
                raise Mismatch("it is of another version")
            return stub

        replicas.members[0].stub, replicas.members[1].stub = "bad", "good"
        for _ in range(3 * EJECT_AFTER):
            assert await replicas.call(attempt, Hedging()) == "good"
        await replicas.close()
        return replicas.members[0].logged

    assert asyncio.run(run()) == Health.EJECTED


def code(status: grpc.StatusCode) -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(status, grpc.aio.Metadata(), grpc.aio.Metadata(), status.name)


def test_an_overload_is_not_carried_to_the_other_replica() -> None:
    asked = []

    async def attempt(stub: str) -> str:
        asked.append(stub)
        raise code(grpc.StatusCode.RESOURCE_EXHAUSTED)

    with pytest.raises(grpc.aio.AioRpcError):
        answered(attempt)
    assert len(asked) == 1


def test_retries_have_a_budget_and_a_lacking_version_costs_none_of_it() -> None:
    async def run() -> tuple[int, int]:
        replicas: Replicas[str] = Replicas("shard", ["h:1", "h:2"], lambda _: "")
        hedging, asked = Hedging(at_once=3), []

        async def gone(stub: str) -> str:
            asked.append(stub)
            raise code(grpc.StatusCode.UNAVAILABLE)

        async def lacks(stub: str) -> str:
            asked.append(stub)
            raise Mismatch("it lacks the version", NOT_HELD)

        for attempt in (gone, lacks):
            for _ in range(20):
                with pytest.raises((grpc.aio.AioRpcError, Mismatch)):
                    await replicas.call(attempt, hedging)
            asked.append("end")
        await replicas.close()
        first = asked.index("end")
        return first - 20, len(asked) - first - 2 - 20

    first, second = asyncio.run(run())
    assert 3 <= first <= 3 + 20 * 0.2
    assert second == 20


def test_members_follow_the_addresses_and_keep_what_is_known_of_them() -> None:
    async def run() -> None:
        replicas: Replicas[str] = Replicas("shard", ["h:1", "h:2"], lambda _: "")
        kept = replicas.members[1]
        for member in replicas.members:
            member.held = {"old", "new"}
        replicas.follow(["h:2", "h:3"])
        assert [member.target for member in replicas.members] == ["h:2", "h:3", "h:1"]
        assert replicas.members[0] is kept
        assert [member.target for member in replicas.let_go({"new"})] == ["h:1"]
        replicas.follow(["h:3"])
        assert replicas.let_go({"new"}) == []  # nobody else holds it yet
        replicas.members[0].held = {"new"}
        assert replicas.let_go({"new"}) == [kept]
        replicas.follow([])
        assert [member.target for member in replicas.let_go({"newer"})] == ["h:3"]
        with pytest.raises(Unavailable, match="no address"):
            await replicas.call(str, Hedging())  # type: ignore[arg-type]
        await replicas.close()

    asyncio.run(run())
