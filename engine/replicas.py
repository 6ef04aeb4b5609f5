"""The replicas of one worker: which of them is asked, and how each of them does."""

import logging
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Generic, TypeVar

import grpc
import grpc.aio

from engine import metrics
from engine.access.channels import Connect, plain
from engine.errors import DeadlineExceeded, SprError, Unavailable
from engine.hedging import Hedging
from engine.protocol import DRAINING
from engine.racing import Race, drains, is_full, is_of_one, lacks_version
from engine.replica import Place, Replica
from engine.replica_health import Health, by_preference

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


class Replicas(Generic[Stub]):
    """The replicas of one worker. Belongs to the event loop it was made in."""

    def __init__(
        self,
        name: str,
        targets: Sequence[str],
        stub: Callable[[grpc.aio.Channel], Stub],
        connect: Connect = plain,
        zone: str = "",
    ) -> None:
        """Connect to workers. zone: members of it are asked before others that do as well; "": all alike."""
        self.name, self._stub, self._connect, self._zone = name, stub, connect, zone
        self.members: list[Replica[Stub]] = []
        self.follow(targets)
        self._turn = 0
        # So that each is there at 0, and its first increase is seen as one.
        for metric in (metrics.HEDGES, metrics.RETRIES, metrics.EJECTIONS):
            metrics.bound(metric, name)

    def follow(self, targets: Collection[str], places: Mapping[str, Place] = MappingProxyType({})) -> None:
        """Have one member for each target from now on; others leave when `let_go` finds them replaced.

        places: by target; of others nothing is known.
        """
        there = {member.target: member for member in self.members}
        # A new list: calls in flight go on with the old one.
        self.members = [
            there.pop(target) if target in there else Replica(target, self._stub, self._connect)
            for target in targets
        ]
        for member in self.members:
            member.leaving, member.place = False, places.get(member.target, Place())
        for member in there.values():
            member.leaving = True
            self.members.append(member)

    @property
    def split(self) -> bool:
        """Whether a member has the contexts of some shards alone."""
        return any(member.shards is not None for member in self.members)

    @property
    def leaving(self) -> bool:
        """Whether a member is asked that the topology has no more."""
        return any(member.leaving for member in self.members)

    def let_go(self, needed: set[str], shards: Collection[str] = ()) -> list[Replica[Stub]]:
        """Remove and return the members that leave, once others hold the versions `needed`, of its shards.

        One that holds none of them is of no use, and goes at once. shards: all that there are.
        """
        stay = [member for member in self.members if not member.leaving and needed <= member.held]

        def replaced(gone: Replica[Stub]) -> bool:
            parts = gone.shards or frozenset(shards)
            return any(one.shards is None for one in stay) or (
                bool(stay) and all(any(one.has(frozenset([part])) for one in stay) for part in parts)
            )

        gone = [m for m in self.members if m.leaving and (not needed & m.held or replaced(m))]
        self.members = [member for member in self.members if member not in gone]
        return gone

    async def call(
        self,
        attempt: Callable[[Stub], Awaitable[Reply]],
        hedging: Hedging,
        hedge_after: float = 0.0,
        version: str = "",
        shards: frozenset[str] = frozenset(),
    ) -> Reply:
        """Return the first answer of `attempt(stub)`; each replica is asked at most once.

        version: what is asked for; replicas that are not known to hold it are asked last. shards: those
        whose contexts are needed; others are not asked.
        Fails over to the next replica when one is gone (UNAVAILABLE, CANCELLED) and the retry budget of
        `hedging` allows it, or when it does not fit (FAILED_PRECONDITION, or `attempt` raises Mismatch).
        Hedges when a worker is later than `hedging` knows it, `hedge_after` seconds at most; 0: never. Raises
        the last failure; DeadlineExceeded SILENT when every circuit is open, Unavailable when all are barred.
        `attempt` sets the time limit of its call and must be idempotent: two replicas may both run it.
        """
        hedging.begin()
        members, order, lacking = self._order(hedging, version, shards)

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
        racing = [members[i] for i in order]
        elsewhere = self._zone != "" and any(self._is_far(one) and not one.barred for one in racing[1:])
        return await Race(racing, ask, hedging, patience, self._count, elsewhere).run()

    def _is_far(self, member: Replica[Stub]) -> bool:
        """Whether a replica is of another zone."""
        return member.place.zone != self._zone

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

    def _order(
        self, hedging: Hedging, version: str, shards: frozenset[str]
    ) -> tuple[list[Replica[Stub]], list[int], set[int]]:
        """Return the members, who of them to ask, first to last, and those that lack the version."""
        members, now = [member for member in self.members if member.has(shards)], time.monotonic()
        if not members:
            of = f" of {', '.join(sorted(shards))}" if shards and self.members else ""
            raise Unavailable(f"{self.name} has no worker{of}: no address of one is known", NO_WORKER)
        self._turn += 1
        if len(members) == 1 and not members[0].barred and members[0].health.state(now) is Health.HEALTHY:
            # Nobody stands in for it.
            members[0].tried = now
            return members, [0], set()
        lacking = {i for i, member in enumerate(members) if version not in member.held}
        slow = {i for i, member in enumerate(members) if member.leaving or _is_slow(member, hedging, now)}
        far = {i for i, member in enumerate(members) if self._zone and self._is_far(member)}
        # A full one is no better than those elsewhere, until it may have room again.
        far |= {i for i, member in enumerate(members) if self._zone and now < member.full}
        order = by_preference([m.health for m in members], self._turn, now, lacking, slow, far)
        order = [i for i in order if not members[i].barred]
        if not order:
            raise self._nobody(members)
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
                if is_full(failure):
                    member.full = time.monotonic() + TRIAL
            elif _timed_out(failure):
                health.timed_out(time.monotonic() - began)
            raise
        finally:
            health.outstanding -= 1
            member.calls.record(time.monotonic() - began)
            self._log_change(member)

    def _nobody(self, members: Sequence[Replica[Stub]]) -> SprError:
        """Return why no replica of some is asked."""
        if all(member.barred for member in members):
            return Unavailable(f"{self.name} {members[0].barred}", DRAINING)
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
