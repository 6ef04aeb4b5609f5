"""Prepares a version on every replica that it needs, until enough of them are ready."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.fleet import Needed
from engine.preparing import Preparing
from engine.replica import Replica

# Seconds that a slower replica is waited for once there are enough; as long again as those took, if more.
PATIENCE = 2.0


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A worker that could not prepare a version, or not in time, and why."""

    worker: str
    target: str
    why: str


@dataclass(slots=True)
class Ready:
    """Who has prepared a version. lacking: shards, rankers, encoders of which nobody has."""

    members: list[Replica[Any]] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    lacking: list[Needed] = field(default_factory=list)

    def why(self) -> str:
        """Say what lacks and why, for a message."""
        wanted = {member.target for group in self.lacking for member in group.members}
        reasons = [
            f"{one.worker} at {one.target}: {one.why}" for one in self.left_out if one.target in wanted
        ]
        return f"{', '.join(group.name for group in self.lacking)} ({'; '.join(reasons)})"

    def note(self, group: Needed, member: Replica[Any], why: str) -> None:
        """Note who has prepared it, why "", or could not; one that is in several groups counts once."""
        left_out = LeftOut(group.label(member), member.target, why)
        if why and left_out not in self.left_out:
            self.left_out.append(left_out)
        if not why and member not in self.members:
            self.members.append(member)


async def prepare(preparing: Preparing, groups: Sequence[Needed], collection: str, version: str) -> Ready:
    """Have all members of all groups prepare a version; return once each group has a ready one.

    Slower ones are waited for a while, and go on afterwards. Returns early when a group has no hope left.
    """
    owner = {
        asyncio.create_task(preparing.prepare(member, collection, version)): (group, member)
        for group in groups
        for member in group.members
    }
    began, ready = time.monotonic(), Ready()
    waiting, good, ends = set(owner), set[str](), None
    try:
        while waiting:
            patience = None if ends is None else max(0.0, ends - time.monotonic())
            done, waiting = await asyncio.wait(waiting, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                group, member = owner[task]
                ready.note(group, member, why := task.result())
                good |= set() if why else {group.name}
            open_groups = {owner[task][0].name for task in waiting}
            if not done or any(group.name not in good | open_groups for group in groups):
                break
            if ends is None and len(good) == len(groups):
                now = time.monotonic()
                ends = now + max(PATIENCE, now - began)
    finally:
        for task in waiting:
            task.cancel()
    for group, member in (owner[task] for task in waiting):
        ready.note(group, member, "it is still preparing it")
    undecided = {owner[task][0].name for task in waiting}
    ready.lacking = [group for group in groups if group.name not in good | undecided]
    return ready
