"""Calls to the replicas of one worker: failover, hedged requests, and ejection of bad replicas."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

import grpc
import grpc.aio

from engine import faults
from engine.errors import DeadlineExceeded, Mismatch, SprError, Unavailable
from engine.hedging import Hedging
from engine.protocol import DRAINING
from engine.recent import Recent
from engine.replica_health import Health, ReplicaHealth, by_preference
from engine.servers import CHANNEL_OPTIONS

_log = logging.getLogger("spr.replicas")
Stub = TypeVar("Stub")
Reply = TypeVar("Reply")

# Failures of one replica; on all others every replica would fail alike. CANCELLED comes from a worker that
# stops, FAILED_PRECONDITION from one that does not hold the version, or serves another shard.
_RETRYABLE = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.CANCELLED,
}
SILENT = "SILENT"
NOT_HELD = "GENERATION_MISMATCH"
DRAINS = "takes no new searches: it drains"
_STATES = {
    Health.HEALTHY: "healthy, in rotation",
    Health.EJECTED: "ejected from rotation",
    Health.OPEN: "not answering, circuit open",
}


class Replica(Generic[Stub]):
    """One worker process: its address, a stub on a channel of its own, its health, and what it holds.

    held: ids of the versions that it answers from, as far as is known. barred: why no search is asked of it,
    "" where it may be. calls: those that have ended.
    """

    def __init__(self, target: str, stub: Callable[[grpc.aio.Channel], Stub]) -> None:
        self.target = target
        self.channel = grpc.aio.insecure_channel(target, CHANNEL_OPTIONS)
        self.stub = stub(self.channel)
        self.health = ReplicaHealth(time.monotonic())
        self.logged = Health.HEALTHY
        self.held: set[str] = set()
        self.barred = ""
        self.calls = Recent()


class Replicas(Generic[Stub]):
    """The replicas of one worker. Belongs to the event loop it was made in."""

    def __init__(self, name: str, targets: Sequence[str], stub: Callable[[grpc.aio.Channel], Stub]) -> None:
        self.name = name
        self.members = [Replica(target, stub) for target in targets]
        self._turn = 0

    async def call(
        self,
        attempt: Callable[[Stub], Awaitable[Reply]],
        hedging: Hedging,
        hedge_after: float = 0.0,
        version: str = "",
    ) -> Reply:
        """Return the first answer of `attempt(stub)`; each replica is asked at most once.

        version: what is asked for; replicas that are not known to hold it are asked last.
        Fails over to the next replica when one cannot answer (UNAVAILABLE, RESOURCE_EXHAUSTED,
        FAILED_PRECONDITION, CANCELLED, Mismatch). Hedges when no answer came within the latency quantile of
        `hedging`, `hedge_after` seconds at most; 0: never. Raises the last failure; DeadlineExceeded SILENT
        when every circuit is open, Unavailable when all are barred. `attempt` sets the time limit of its call
        and must be idempotent: two replicas may both run it.
        """
        self._turn += 1
        lacking = {i for i, member in enumerate(self.members) if version not in member.held}
        health = [member.health for member in self.members]
        order = by_preference(health, self._turn, time.monotonic(), lacking)
        order = [i for i in order if not self.members[i].barred]
        if not order:
            raise self._nobody()
        members = [self.members[i] for i in order]

        async def ask(member: Replica[Stub]) -> Reply:
            return await self._ask(member, attempt, hedging, version)

        if len(members) == 1:
            # Without a second replica there is no race, and no task to pay for.
            return await ask(members[0])
        # An ejected replica, or one that lacks the version, is no early hedge for a good one.
        first, second = order[:2]
        now = time.monotonic()
        alike = health[first].state(now) is health[second].state(now)
        alike = alike and (first in lacking) is (second in lacking)
        return await _Race(members, ask, hedging, hedging.after(hedge_after) if alike else hedge_after).run()

    def probed(self, member: Replica[Stub], fault: str) -> None:
        """Record what a probe that was answered found wrong with a replica; empty: nothing."""
        member.health.probed(fault, time.monotonic())
        self._log_change(member)

    async def close(self) -> None:
        """Close the channels."""
        for member in self.members:
            await member.channel.close()

    async def _ask(
        self,
        member: Replica[Stub],
        attempt: Callable[[Stub], Awaitable[Reply]],
        hedging: Hedging,
        version: str,
    ) -> Reply:
        """Ask one replica, and record how it answered."""
        health, began = member.health, time.monotonic()
        health.outstanding += 1
        try:
            reply = await attempt(member.stub)
            health.succeeded(time.monotonic())
            hedging.answered(time.monotonic() - began)
            return reply
        except (grpc.aio.AioRpcError, SprError) as failure:
            # Nothing is wrong with a replica that lacks this version, or drains.
            if _reason(failure) == NOT_HELD:
                member.held.discard(version)
            elif _reason(failure) == DRAINING:
                member.barred = DRAINS
            elif _retryable(failure):
                health.failed(_words(failure))
            elif _timed_out(failure):
                health.timed_out(time.monotonic() - began)
            raise
        finally:
            health.outstanding -= 1
            member.calls.record(time.monotonic() - began)
            self._log_change(member)

    def _nobody(self) -> SprError:
        """Return why no replica is asked."""
        if all(member.barred for member in self.members):
            return Unavailable(f"{self.name} {self.members[0].barred}", DRAINING)
        message = f"{self.name} does not answer: its circuit is open until a probe succeeds"
        return DeadlineExceeded(message, SILENT)

    def _log_change(self, member: Replica[Stub]) -> None:
        """Log a change of a replica's state."""
        health = member.health
        state = health.state(time.monotonic())
        if state is Health.EJECTED and len(self.members) == 1:
            state = Health.HEALTHY  # the last replica is never ejected
        if state is not member.logged and not health.half_open:
            member.logged = state
            level = logging.INFO if state is Health.HEALTHY else logging.WARNING
            extra = {"why": health.fault or health.last_error}
            _log.log(level, "%s at %s is %s", self.name, member.target, _STATES[state], extra=extra)


class _Race(Generic[Stub, Reply]):
    """One call that may be sent to several replicas. patience: seconds before a hedge; 0: never."""

    def __init__(
        self,
        members: list[Replica[Stub]],
        ask: Callable[[Replica[Stub]], Awaitable[Reply]],
        hedging: Hedging,
        patience: float,
    ) -> None:
        self._waiting, self._ask, self._hedging = members, ask, hedging
        self._patience = patience
        self._running: dict[asyncio.Task[Reply], tuple[Replica[Stub], float]] = {}

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
                    if not _retryable(failure):
                        raise failure
                if self._waiting and (done or self._hedging.take()):
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

    def _record_losers(self) -> None:
        """Record a failure of the replicas that were past their quantile when another answered."""
        for member, began in self._running.values():
            seconds = time.monotonic() - began
            if seconds >= self._patience:
                member.health.failed(f"another replica was first, {seconds:.2g} s after this one was asked")
                self._hedging.answered(seconds)


def _retryable(failure: BaseException) -> bool:
    if isinstance(failure, Mismatch):
        return True
    return isinstance(failure, grpc.aio.AioRpcError) and failure.code() in _RETRYABLE


def _reason(failure: grpc.aio.AioRpcError | SprError) -> str:
    return failure.reason if isinstance(failure, SprError) else faults.reason_of(failure)


def _timed_out(failure: BaseException) -> bool:
    late = grpc.StatusCode.DEADLINE_EXCEEDED
    return isinstance(failure, grpc.aio.AioRpcError) and failure.code() is late


def _words(failure: grpc.aio.AioRpcError | SprError) -> str:
    return str(failure) if isinstance(failure, SprError) else failure.details() or failure.code().name
