"""Page tokens over cached ranked lists: further pages cost no search, and cannot shift."""

import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

from engine.errors import InvalidInput

Kept = TypeVar("Kept")
LONGEST_OFFSET = 9  # digits


class PageStore(Generic[Kept]):
    """An LRU cache of ranked lists by token: at most `size`, none older than `ttl` seconds."""

    def __init__(self, size: int, ttl: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._size = size
        self._ttl = ttl
        self._clock = clock
        self._kept: OrderedDict[str, tuple[float, Kept]] = OrderedDict()

    def keep(self, value: Kept) -> str:
        """Cache a list and return its name."""
        name = secrets.token_urlsafe(12)
        self._kept[name] = (self._clock() + self._ttl, value)
        while len(self._kept) > self._size:
            self._kept.popitem(last=False)
        return name

    def token(self, name: str, offset: int) -> str:
        """Return the page token of the list from row `offset` on."""
        return f"{name}.{offset}"

    def find(self, token: str) -> tuple[str, Kept, int]:
        """Return a token's list: its name, itself and the offset; InvalidInput if it is gone."""
        name, _, offset = token.rpartition(".")
        expires, value = self._kept.get(name, (0.0, None))
        # int() refuses thousands of digits; no list needs ten.
        well_formed = offset.isascii() and offset.isdecimal() and len(offset) <= LONGEST_OFFSET
        if value is None or not well_formed or self._clock() > expires:
            self._kept.pop(name, None)
            raise InvalidInput(
                "the page token is unknown or has expired; search again from the first page",
                "PAGE_TOKEN_INVALID",
                "page_token",
            )
        self._kept.move_to_end(name)
        return name, value, int(offset)
