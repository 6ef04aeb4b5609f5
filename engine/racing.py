"""One call that may be sent to several replicas: failover within a retry budget, and hedged requests."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, Protocol, TypeVar

import grpc
import grpc.aio

from engine import faults
from engine.errors import Mismatch, SprError
from engine.hedging import Hedging
from engine.protocol import DRAINING
from engine.replica_health import Health, ReplicaHealth

NOT_HELD = "GENERATION_MISMATCH"
# CANCELLED comes from a worker that stops.
_GONE = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
# Failures of one replica; on all others every replica would fail alike. FAILED_PRECONDITION comes from one
# that does not hold the version, or serves another shard.
_OF_ONE = {*_GONE, grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.RESOURCE_EXHAUSTED}


class Member(Protocol):
    """What a race has to know of a replica."""

    target: str
    health: ReplicaHealth


M = TypeVar("M", bound=Member)
Reply = TypeVar("Reply")


class Race(Generic[M, Reply]):
    """One call, asked of `members` in their order. patience: seconds before a hedge; 0: never.

    on_next: told when a further one is asked, and whether another had failed. elsewhere: whether further
    ones are of another zone, so that one that is full does not stand for them.
    """

    def __init__(
        self,
        members: Sequence[M],
        ask: Callable[[M], Awaitable[Reply]],
        hedging: Hedging,
        patience: float,
        on_next: Callable[[bool], None] = lambda _: None,
        elsewhere: bool = False,
    ) -> None:
        self._waiting, self._ask, self._hedging = list(members), ask, hedging
        self._on_next, self._elsewhere = on_next, elsewhere
        self._patience = patience
        self._running: dict[asyncio.Task[Reply], tuple[M, float]] = {}

    async def run(self) -> Reply:
        """Return the first answer, or raise the last failure."""
        try:
            self._ask_next()
            while True:
                patience = self._patience if self._patience > 0 and self._waiting else None
                done, _ = await asyncio.wait(
                    self._running, timeout=patience, return_when=asyncio.FIRST_COMPLETED
                )
                failure: BaseException | None = None
                for task in done:
                    del self._running[task]
                    failure = task.exception()
                    if failure is None:
                        self._record_losers()
                        return task.result()
                    if not is_of_one(failure):
                        raise failure
                if self._waiting and (self._may_hedge() if failure is None else self._may_retry(failure)):
                    self._on_next(failure is not None)
                    self._ask_next()
                elif failure is not None and not self._running:
                    raise failure
        finally:
            for task in self._running:
                task.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)

    def _ask_next(self) -> None:
        member = self._waiting.pop(0)

        async def run() -> Reply:
            return await self._ask(member)

        self._running[asyncio.create_task(run())] = (member, time.monotonic())

    def _may_hedge(self) -> bool:
        """Whether the budget has a hedge; a call to what is out of rotation by now is a retry instead."""
        now = time.monotonic()
        well = any(member.health.state(now) is Health.HEALTHY for member, _ in self._running.values())
        return self._hedging.hedges.take() or (not well and self._hedging.retries.take())

    def _may_retry(self, failure: BaseException) -> bool:
        """Whether to ask another replica after a failure: UNAVAILABLE within the budget, a mismatch always.

        One that lacks a version or drains has done no work, and a worker that is full must not fill the next,
        unless that one is elsewhere.
        """
        if _code(failure) is grpc.StatusCode.FAILED_PRECONDITION or drains(failure):
            return True
        again = _GONE | {grpc.StatusCode.RESOURCE_EXHAUSTED} if self._elsewhere else _GONE
        return _code(failure) in again and self._hedging.retries.take()

    def _record_losers(self) -> None:
        """Record a failure of the replicas that were past their quantile when another answered."""
        for member, began in self._running.values():
            seconds = time.monotonic() - began
            if seconds >= self._patience:
                member.health.failed(f"another replica was first, {seconds:.2g} s after this one was asked")
                self._hedging.answered(member.target, seconds)


def _code(failure: BaseException) -> grpc.StatusCode | None:
    if isinstance(failure, Mismatch):
        return grpc.StatusCode.FAILED_PRECONDITION
    return failure.code() if isinstance(failure, grpc.aio.AioRpcError) else None


def is_of_one(failure: BaseException) -> bool:
    """Whether a failure says something of one replica alone."""
    return _code(failure) in _OF_ONE


def is_full(failure: BaseException) -> bool:
    """Whether a replica has enough to do."""
    return _code(failure) is grpc.StatusCode.RESOURCE_EXHAUSTED


def lacks_version(failure: BaseException) -> bool:
    """Whether a replica merely does not hold the version that it was asked for."""
    return _reason(failure) == NOT_HELD


def drains(failure: BaseException) -> bool:
    """Whether a replica merely takes no new calls."""
    return _reason(failure) == DRAINING


def _reason(failure: BaseException) -> str:
    if isinstance(failure, SprError):
        return failure.reason
    return faults.reason_of(failure) if isinstance(failure, grpc.aio.AioRpcError) else ""
