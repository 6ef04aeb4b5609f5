"""Page tokens over cached ranked lists: further pages cost no search, and cannot shift."""

import secrets
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from cachetools import TTLCache

from engine.errors import InvalidInput

Kept = TypeVar("Kept")
LONGEST_OFFSET = 9  # digits


class PageStore(Generic[Kept]):
    """Ranked lists by token: an LRU cache of at most `size` lists, none older than `ttl` seconds.

    weigh: as how many lists one counts, so that long ones are fewer.
    """

    def __init__(
        self,
        size: int,
        ttl: float,
        clock: Callable[[], float] = time.monotonic,
        weigh: Callable[[Kept], float] = lambda _: 1.0,
    ) -> None:
        self._kept: TTLCache[str, Kept] = TTLCache(size, ttl, clock, weigh)
        self._weigh = weigh

    def keep(self, value: Kept) -> str:
        """Cache a list and return its name."""
        name = secrets.token_urlsafe(12)
        if self._weigh(value) <= self._kept.maxsize:
            self._kept[name] = value
        return name

    def token(self, name: str, offset: int) -> str:
        """Return the page token of the list from row `offset` on."""
        return f"{name}.{offset}"

    def find(self, token: str) -> tuple[str, Kept, int]:
        """Return a token's list: its name, itself and the offset; InvalidInput if it is gone."""
        name, _, offset = token.rpartition(".")
        value = self._kept.get(name)
        # int() refuses thousands of digits; no list needs ten.
        well_formed = offset.isascii() and offset.isdecimal() and len(offset) <= LONGEST_OFFSET
        if value is None or not well_formed:
            raise InvalidInput(
                "the page token is unknown or has expired; search again from the first page",
                "PAGE_TOKEN_INVALID",
                "page_token",
            )
        return name, value, int(offset)
