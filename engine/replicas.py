"""The replicas of one worker: which of them is asked, and how each of them does."""

import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

import grpc
import grpc.aio

from engine import metrics
from engine.access.channels import Connect, plain
from engine.errors import DeadlineExceeded, SprError, Unavailable
from engine.hedging import Hedging
from engine.protocol import DRAINING
from engine.racing import Race, drains, is_of_one, lacks_version
from engine.recent import Recent
from engine.replica_health import Health, ReplicaHealth, by_preference
from engine.servers import CHANNEL_OPTIONS

_log = logging.getLogger("spr.replicas")
Stub = TypeVar("Stub")
Reply = TypeVar("Reply")

SILENT, NO_WORKER = "SILENT", "NO_WORKER"
TRIAL = 1.0  # seconds after which an outlier is asked first once more
DRAINS = "takes no new searches: it drains"
_STATES = {
    Health.HEALTHY: "healthy, in rotation",
    Health.EJECTED: "ejected from rotation",
    Health.OPEN: "not answering, circuit open",
}


class Replica(Generic[Stub]):
    """One worker process: its address, a stub on a channel of its own, its health, and what it holds.

    held: ids of the versions that it answers from, as far as is known. tried: when it was asked last while it
    was an outlier. barred: why no search is asked of it, "" where it may be. calls: those that have ended.
    leaving: the topology has it no more; it is asked until another one can be.
    """

    def __init__(
        self, target: str, stub: Callable[[grpc.aio.Channel], Stub], connect: Connect = plain
    ) -> None:
        self.target = target
        self.channel = connect(target, CHANNEL_OPTIONS)
        self.stub = stub(self.channel)
        self.health = ReplicaHealth(time.monotonic())
        self.logged = Health.HEALTHY
        self.held: set[str] = set()
        self.tried = 0.0
        self.barred = ""
        self.calls = Recent()
        self.leaving = False


class Replicas(Generic[Stub]):
    """The replicas of one worker. Belongs to the event loop it was made in."""

    def __init__(
        self,
        name: str,
        targets: Sequence[str],
        stub: Callable[[grpc.aio.Channel], Stub],
        connect: Connect = plain,
    ) -> None:
        self.name, self._stub, self._connect = name, stub, connect
        self.members = [Replica(target, stub, connect) for target in targets]
        self._turn = 0
        # So that each is there at 0, and its first increase is seen as one.
        for metric in (metrics.HEDGES, metrics.RETRIES, metrics.EJECTIONS):
            metrics.bound(metric, name)

    def follow(self, targets: Sequence[str]) -> None:
        """Have one member for each target from now on; others leave when `let_go` finds them replaced."""
        there = {member.target: member for member in self.members}
        # A new list: calls in flight go on with the old one.
        self.members = [
            there.pop(target) if target in there else Replica(target, self._stub, self._connect)
            for target in targets
        ]
        for member in self.members:
            member.leaving = False
        for member in there.values():
            member.leaving = True
            self.members.append(member)

    @property
    def leaving(self) -> bool:
        """Whether a member is asked that the topology has no more."""
        return any(member.leaving for member in self.members)

    def let_go(self, needed: set[str]) -> list[Replica[Stub]]:
        """Remove and return the members that leave, once another holds the versions `needed`.

        One that holds none of them is of no use, and goes at once.
        """
        stay = [member for member in self.members if not member.leaving]
        replaced = any(needed <= member.held for member in stay)
        gone = [m for m in self.members if m.leaving and (replaced or not needed & m.held)]
        self.members = [member for member in self.members if member not in gone]
        return gone

    async def call(
        self,
        attempt: Callable[[Stub], Awaitable[Reply]],
        hedging: Hedging,
        hedge_after: float = 0.0,
        version: str = "",
    ) -> Reply:
        """Return the first answer of `attempt(stub)`; each replica is asked at most once.

        version: what is asked for; replicas that are not known to hold it are asked last.
        Fails over to the next replica when one is gone (UNAVAILABLE, CANCELLED) and the retry budget of
        `hedging` allows it, or when it does not fit (FAILED_PRECONDITION, or `attempt` raises Mismatch).
        Hedges when a worker is later than `hedging` knows it, `hedge_after` seconds at most; 0: never. Raises
        the last failure; DeadlineExceeded SILENT when every circuit is open, Unavailable when all are barred.
        `attempt` sets the time limit of its call and must be idempotent: two replicas may both run it.
        """
        hedging.begin()
        members, order, lacking = self._order(hedging, version)

        async def ask(member: Replica[Stub]) -> Reply:
            return await self._ask(member, attempt, hedging, version)

        if len(order) == 1:
            # Without a second replica there is no race, and no task to pay for.
            return await ask(members[order[0]])
        # An ejected replica, or one that lacks the version, is no early hedge for a good one.
        first, second = order[:2]
        now = time.monotonic()
        alike = members[first].health.state(now) is members[second].health.state(now)
        alike = alike and (first in lacking) is (second in lacking)
        patience = hedging.after(members[first].target, hedge_after) if alike else hedge_after
        return await Race([members[i] for i in order], ask, hedging, patience, self._count).run()

    def _count(self, failed: bool) -> None:
        metrics.bound(metrics.RETRIES if failed else metrics.HEDGES, self.name).inc()

    def probed(self, member: Replica[Stub], fault: str) -> None:
        """Record what a probe that was answered found wrong with a replica; empty: nothing."""
        member.health.probed(fault, time.monotonic())
        self._log_change(member)

    def missed(self, member: Replica[Stub], fault: str) -> None:
        """Record a probe that was not answered in time."""
        member.health.missed(fault, time.monotonic())
        self._log_change(member)

    async def close(self) -> None:
        """Close the channels."""
        for member in self.members:
            await member.channel.close()

    def _order(self, hedging: Hedging, version: str) -> tuple[list[Replica[Stub]], list[int], set[int]]:
        """Return the members, who of them to ask, first to last, and those that lack the version."""
        members, now = self.members, time.monotonic()
        if not members:
            raise Unavailable(f"{self.name} has no worker: no address of one is known", NO_WORKER)
        self._turn += 1
        lacking = {i for i, member in enumerate(members) if version not in member.held}
        slow = set()
        if len(members) > 1:
            slow = {i for i, member in enumerate(members) if member.leaving or _is_slow(member, hedging, now)}
        order = by_preference([m.health for m in members], self._turn, now, lacking, slow)
        order = [i for i in order if not members[i].barred]
        if not order:
            raise self._nobody()
        members[order[0]].tried = now
        return members, order, lacking

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
            now = time.monotonic()
            health.succeeded(now)
            hedging.answered(member.target, now - began)
            return reply
        except (grpc.aio.AioRpcError, SprError) as failure:
            # Nothing is wrong with a replica that lacks this version, or drains.
            if lacks_version(failure):
                member.held.discard(version)
            elif drains(failure):
                member.barred = DRAINS
            elif is_of_one(failure):
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
            if state is not Health.HEALTHY and member.logged is Health.HEALTHY:
                metrics.bound(metrics.EJECTIONS, self.name).inc()
            member.logged = state
            level = logging.INFO if state is Health.HEALTHY else logging.WARNING
            extra = {"why": health.fault or health.last_error}
            _log.log(level, "%s at %s is %s", self.name, member.target, _STATES[state], extra=extra)


def _is_slow(member: Replica[Stub], hedging: Hedging, now: float) -> bool:
    """Whether a replica's latency is an outlier; now and then it is asked all the same, to find out."""
    return hedging.is_outlier(member.target) and now - member.tried < TRIAL


def _timed_out(failure: BaseException) -> bool:
    late = grpc.StatusCode.DEADLINE_EXCEEDED
    return isinstance(failure, grpc.aio.AioRpcError) and failure.code() is late


def _words(failure: grpc.aio.AioRpcError | SprError) -> str:
    return str(failure) if isinstance(failure, SprError) else failure.details() or failure.code().name
