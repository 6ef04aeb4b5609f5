"""An event loop whose clock jumps to the next timer: minutes of time-outs pass in milliseconds."""

import asyncio
import selectors
import time
from collections.abc import Coroutine
from typing import Any, TypeVar
from unittest import mock

Result = TypeVar("Result")


class _Selector(selectors.SelectSelector):
    """Waits for nothing: what it would have waited is added to the loop's clock."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            raise RuntimeError("everything waits, and no timer runs: a coroutine is stuck")
        self.now += max(0.0, timeout)
        return []  # nothing but timers happens here


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """time: seconds since the loop was made, of which only timers make any pass."""

    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.now


def run(main: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine in virtual time, which time.monotonic tells meanwhile."""
    loop = VirtualTimeLoop()
    try:
        with mock.patch.object(time, "monotonic", loop.time):
            return loop.run_until_complete(main)
    finally:
        loop.close()
