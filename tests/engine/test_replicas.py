import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from engine.errors import Mismatch
from engine.replicas import Replicas
from engine.standing import OUT, STRIKES, Hedging


def answered(attempt: Callable[[str], Awaitable[str]], out: tuple[int, ...] = (), **options: Any) -> str:
    """Return what two copies, "0" and "1", answer; those of `out` have answered badly before."""

    async def run() -> str:
        replicas: Replicas[str] = Replicas("shard", ["h:1", "h:2"], lambda _: "")
        for i, member in enumerate(replicas.members):
            member.stub = str(i)
            for _ in range(STRIKES * (i in out)):
                member.standing.bad("slow")
        try:
            return await replicas.call(attempt, Hedging(), **options)
        finally:
            await replicas.close()

    return asyncio.run(run())


def test_a_copy_that_is_out_is_asked_when_the_one_in_rotation_stalls() -> None:
    async def attempt(stub: str) -> str:
        if stub == "1":
            await asyncio.sleep(60)
        return stub

    assert answered(attempt, out=(0,), hedge_after=0.01) == "0"


def test_an_answer_that_cannot_be_used_is_asked_of_the_other_copy() -> None:
    asked = []

    async def attempt(stub: str) -> str:
        asked.append(stub)
        if len(asked) == 1:
            raise Mismatch("it is of another generation")
        return stub

    assert answered(attempt) == asked[1]
    assert sorted(asked) == ["0", "1"]


def test_bad_answers_are_counted_and_told_once_they_put_a_copy_out() -> None:
    async def run() -> int:
        replicas: Replicas[str] = Replicas("shard", ["h:1", "h:2"], lambda _: "")

        async def attempt(stub: str) -> str:
            if stub == "bad":
                raise Mismatch("it is of another generation")
            return stub

        replicas.members[0].stub, replicas.members[1].stub = "bad", "good"
        for _ in range(3 * STRIKES):
            assert await replicas.call(attempt, Hedging()) == "good"
        await replicas.close()
        return replicas.members[0].place

    assert asyncio.run(run()) == OUT
