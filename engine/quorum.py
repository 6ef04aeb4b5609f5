"""Prepares a version on every replica that it needs, until enough of them are ready."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.fleet import RANKER
from engine.preparing import Preparing
from engine.replicas import Replica, Replicas

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
    """Who has prepared a version. lacking: names of the shards, or "ranker", of which nobody has."""

    members: list[Replica[Any]] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    lacking: list[str] = field(default_factory=list)

    def why(self) -> str:
        """Say what lacks and why, for a message."""
        lacking = set(self.lacking)
        reasons = [
            f"{one.worker} at {one.target}: {one.why}"
            for one in self.left_out
            if one.worker in lacking or (RANKER in lacking and one.worker.startswith(f"{RANKER}-"))
        ]
        return f"{', '.join(self.lacking)} ({'; '.join(reasons)})"


async def prepare(
    preparing: Preparing, groups: Sequence[Replicas[Any]], collection: str, version: str
) -> Ready:
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
                _note(ready, good, *owner[task], task.result())
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
        ready.left_out.append(LeftOut(_label(group, member), member.target, "it is still preparing it"))
    undecided = {owner[task][0].name for task in waiting}
    ready.lacking = [group.name for group in groups if group.name not in good | undecided]
    return ready


def _note(ready: Ready, good: set[str], group: Replicas[Any], member: Replica[Any], why: str) -> None:
    if why:
        ready.left_out.append(LeftOut(_label(group, member), member.target, why))
    else:
        ready.members.append(member)
        good.add(group.name)


def _label(group: Replicas[Any], member: Replica[Any]) -> str:
    """Return a worker's name as the operator knows it; rankers are numbered."""
    if group.name != RANKER:
        return group.name
    # One that has left the topology meanwhile has no number any more.
    return f"{RANKER}-{group.members.index(member)}" if member in group.members else RANKER
