"""What to serve in place of a version that no worker of a shard can prepare."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from engine import versions
from engine.entries import Version
from engine.errors import SprError
from engine.preparing import Preparing
from engine.replicas import Replicas

MOST = 5  # versions that are tried


def refusals(preparing: Preparing, groups: Sequence[Replicas[Any]], version: str) -> list[str]:
    """Return what workers said who cannot prepare a version, of groups in which none holds it."""
    lacking = [group for group in groups if not any(version in member.held for member in group.members)]
    said = [preparing.refusal(member.target, version) for group in lacking for member in group.members]
    return [refusal.why for refusal in said if refusal is not None and refusal.final]


def of(collection: Path, version: Version, held: Collection[str]) -> list[str]:
    """Return ids of versions to serve in its place, newest first: its ancestors, and what workers hold."""
    found, parent = set[str](), version.parent
    while parent and len(found) < MOST:
        found.add(parent)
        try:
            parent = versions.read(collection, parent).parent
        except SprError:
            break
    found |= {name for name in held if _is_here(collection, name)}
    return sorted(found - {version.id}, reverse=True)[:MOST]


def _is_here(collection: Path, version: str) -> bool:
    try:
        versions.read(collection, version)
    except SprError:
        return False
    return True
