"""Versions that workers hold and nobody needs: they are dropped after a while."""

import time
from collections.abc import Iterable
from typing import Any

from engine.preparing import Preparing
from engine.replica import Replica
from engine.served import Collections
from spr.internal.v1.version_service_pb2 import HeldVersion

# Seconds after which a worker is told to drop a version that nobody here needs: another coordinator may have
# had it prepared, for as long as page tokens live.
LEFTOVER = 600.0


class Leftovers:
    """Which held versions are not needed here, and since when."""

    def __init__(self, collections: Collections, preparing: Preparing) -> None:
        self._collections, self._preparing = collections, preparing
        self._unneeded_since: dict[tuple[str, str], float] = {}

    def drop(self, member: Replica[Any], held: Iterable[HeldVersion]) -> None:
        """Have a worker drop versions that have not been needed here for LEFTOVER seconds."""
        needed = {name for one in self._collections.all for name in (*one.versions, *one.coming, one.newest)}
        names = {one.name for one in self._collections.all}
        now = time.monotonic()
        for one in held:
            key = member.target, one.version
            if one.version in needed or one.collection not in names:
                self._unneeded_since.pop(key, None)
            elif now - self._unneeded_since.setdefault(key, now) >= LEFTOVER:
                del self._unneeded_since[key]
                self._preparing.drop(member, one.collection, one.version)
