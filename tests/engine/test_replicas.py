import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from engine.errors import Mismatch
from engine.hedging import Hedging
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
