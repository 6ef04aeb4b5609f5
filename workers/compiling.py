"""Functions that numba compiles, kept on disk where that is possible."""

from collections.abc import Callable
from typing import Any

import numba


def compiled(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Return a decorator that compiles; on disk it keeps what it can, which nothing depends on.

    numba's cache on disk notices changes of a function's own file only: what it calls must stand there too.
    """

    def decorated(function: Callable[..., Any]) -> Any:
        try:
            return numba.njit(nogil=True, cache=True, **options)(function)
        except RuntimeError:  # nowhere to write: a read-only installation without a home
            return numba.njit(nogil=True, **options)(function)

    return decorated
