"""What to serve in place of a version that no worker of a shard can prepare."""

from collections.abc import Collection, Sequence
from pathlib import Path

from engine import versions
from engine.entries import Version
from engine.errors import SprError
from engine.fleet import Needed
from engine.preparing import Preparing

MOST = 5  # versions that are tried


def refusals(preparing: Preparing, groups: Sequence[Needed], version: str) -> list[str]:
    """Return what workers said who cannot prepare a version, of groups in which none holds it."""
    lacking = [group for group in groups if not any(version in member.held for member in group.members)]
    said = [preparing.refusal(member.target, version) for group in lacking for member in group.members]
    return [refusal.why for refusal in said if refusal is not None and refusal.final]


def unasked(collection: Path, current: str) -> list[str]:
    """Return versions to serve in place of the current one before any worker was asked.

    What it was made from was served; a newer one may have been rolled back from.
    """
    newest = [str(number) for number in reversed(versions.numbers(collection)[-MOST - 1 :])]
    try:
        return [*of(collection, versions.read(collection, current), ()), *newest]
    except SprError:
        return newest


def of(collection: Path, version: Version, held: Collection[str]) -> list[str]:
    """Return ids of versions to serve in its place: its ancestors, then what else workers hold, newest first.

    What is held and no ancestor may be what an operator rolled back from.
    """
    found, parent = list[str](), version.parent
    while parent and len(found) < MOST and parent not in found:
        found.append(parent)
        try:
            parent = versions.read(collection, parent).parent
        except SprError:
            break
    others = sorted(
        {name for name in held if _is_here(collection, name)} - {*found, version.id}, reverse=True
    )
    return [*found, *others][:MOST]


def _is_here(collection: Path, version: str) -> bool:
    try:
        versions.read(collection, version)
    except SprError:
        return False
    return True
