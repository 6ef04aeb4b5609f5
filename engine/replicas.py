"""Copies of one worker, any of which may answer: replaced when dead, doubled when slow, left out when bad."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

import grpc
import grpc.aio

from engine.errors import DeadlineExceeded, Mismatch, SprError
from engine.serving import CHANNEL_OPTIONS
from engine.standing import IN, NEVER, OUT, Hedging, Standing, in_order

_log = logging.getLogger("spr.replicas")
Stub = TypeVar("Stub")
Reply = TypeVar("Reply")

# Another copy may answer these; everything else it would answer alike. CANCELLED comes from a worker that
# stops, FAILED_PRECONDITION from one that serves another generation or shard.
_RETRYABLE = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.CANCELLED,
}
SILENT = "SILENT"
_PLACES = {IN: "in rotation", OUT: "out of rotation", NEVER: "asked by probes alone"}


class Replica(Generic[Stub]):
    """One worker process: its address, a stub on a channel of its own, and how it has answered."""

    def __init__(self, target: str, stub: Callable[[grpc.aio.Channel], Stub]) -> None:
        self.target = target
        self.channel = grpc.aio.insecure_channel(target, CHANNEL_OPTIONS)
        self.stub = stub(self.channel)
        self.standing = Standing(time.monotonic())
        self.place = IN


class Replicas(Generic[Stub]):
    """The copies of one worker. Belongs to the event loop it was made in."""

    def __init__(self, name: str, targets: Sequence[str], stub: Callable[[grpc.aio.Channel], Stub]) -> None:
        self.name = name
        self.members = [Replica(target, stub) for target in targets]
        self._turn = 0

    async def call(
        self, attempt: Callable[[Stub], Awaitable[Reply]], hedging: Hedging, hedge_after: float = 0.0
    ) -> Reply:
        """Return the first answer of `attempt(stub)`; each copy is asked at most once.

        The next copy is asked when one cannot answer (UNAVAILABLE, RESOURCE_EXHAUSTED, FAILED_PRECONDITION,
        CANCELLED, or `attempt` raises Mismatch), and when the others have been silent for longer than such
        calls take, `hedge_after` seconds at the most; 0: never. Raises the last failure; DeadlineExceeded
        SILENT when no copy is worth asking. `attempt` sets the time limit of its call; reads only, since two
        copies may both do the work.
        """
        self._turn += 1
        order = in_order([member.standing for member in self.members], self._turn, time.monotonic())
        if not order:
            raise DeadlineExceeded(f"{self.name} did not answer; probes look whether it does again", SILENT)
        members = [self.members[i] for i in order]

        async def ask(member: Replica[Stub]) -> Reply:
            return await self._ask(member, attempt, hedging)

        if len(members) == 1:
            # Nobody to turn to: no task is needed to watch it.
            return await ask(members[0])
        return await _Race(members, ask, hedging, hedge_after).run()

    def probed(self, member: Replica[Stub], fault: str) -> None:
        """Note what a probe found wrong with a copy that answered it; empty: nothing."""
        member.standing.probed(fault, time.monotonic())
        self._tell(member)

    async def close(self) -> None:
        """Close the channels."""
        for member in self.members:
            await member.channel.close()

    async def _ask(
        self, member: Replica[Stub], attempt: Callable[[Stub], Awaitable[Reply]], hedging: Hedging
    ) -> Reply:
        """Ask one copy, and note how it answered."""
        standing, began = member.standing, time.monotonic()
        standing.outstanding += 1
        try:
            reply = await attempt(member.stub)
            standing.well(time.monotonic())
            hedging.answered(time.monotonic() - began)
            return reply
        except (grpc.aio.AioRpcError, SprError) as failure:
            if _retryable(failure):
                standing.bad(_words(failure))
            elif _late(failure):
                standing.timed_out(time.monotonic() - began)
            raise
        finally:
            standing.outstanding -= 1
            self._tell(member)

    def _tell(self, member: Replica[Stub]) -> None:
        """Log it when a copy's place has changed."""
        standing = member.standing
        place = standing.place(time.monotonic())
        if place == OUT and len(self.members) == 1:
            place = IN  # there is no other to ask
        if place != member.place and not standing.on_trial:
            member.place = place
            level = logging.INFO if place == IN else logging.WARNING
            extra = {"why": standing.fault or standing.why}
            _log.log(level, "%s at %s is %s", self.name, member.target, _PLACES[place], extra=extra)


class _Race(Generic[Stub, Reply]):
    """One call, of which several copies may be asked."""

    def __init__(
        self,
        members: list[Replica[Stub]],
        ask: Callable[[Replica[Stub]], Awaitable[Reply]],
        hedging: Hedging,
        hedge_after: float,
    ) -> None:
        self._waiting, self._ask, self._hedging = members, ask, hedging
        now = time.monotonic()
        alike = members[0].standing.place(now) == members[1].standing.place(now)
        # A copy that is out of rotation is asked beside a good one only when that one is very late.
        self._patience = hedging.after(hedge_after) if alike else hedge_after
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
                        self._blame_silent()
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

    def _blame_silent(self) -> None:
        """Note it of the copies that had been silent for long when another answered."""
        for member, began in self._running.values():
            seconds = time.monotonic() - began
            if seconds >= self._patience:
                member.standing.bad(f"another copy was first, {seconds:.2g} s after this one was asked")
                self._hedging.answered(seconds)


def _retryable(failure: BaseException) -> bool:
    if isinstance(failure, Mismatch):
        return True
    return isinstance(failure, grpc.aio.AioRpcError) and failure.code() in _RETRYABLE


def _late(failure: BaseException) -> bool:
    late = grpc.StatusCode.DEADLINE_EXCEEDED
    return isinstance(failure, grpc.aio.AioRpcError) and failure.code() is late


def _words(failure: grpc.aio.AioRpcError | SprError) -> str:
    return str(failure) if isinstance(failure, SprError) else failure.details() or failure.code().name
