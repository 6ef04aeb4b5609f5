"""What a request asks for, checked: every number has bounds, and nothing of it becomes a path."""

import math

from starlette.requests import Request

from engine.errors import InvalidInput
from trainer.ingest.limits import MOST_ROWS

LONGEST_QUERY = 1000


def text(request: Request) -> str:
    """Return the query's words."""
    words = request.query_params.get("q", "").strip()
    if not words:
        raise InvalidInput("the query is empty; write what the moment shows", "QUERY_EMPTY")
    if len(words) > LONGEST_QUERY:
        raise InvalidInput(f"the query has {len(words)} characters; write at most {LONGEST_QUERY}")
    return words


def collection(request: Request) -> str:
    """Return the name of a collection, "" for the first."""
    return request.query_params.get("collection", "")


def number(request: Request, name: str, low: float, high: float, default: float | None = None) -> float:
    """Return a number of the query string; InvalidInput unless it lies in low..high."""
    given = request.query_params.get(name, "")
    try:
        value = float(given) if given or default is None else default
    except ValueError:
        value = math.nan
    # Written so that NaN fails.
    if not low <= value <= high:
        raise InvalidInput(f"{name} is {given[:40]!r}; it must be a number from {low:g} to {high:g}")
    return value


def span(request: Request) -> tuple[float, float]:
    """Return start and end in seconds."""
    start, end = (number(request, name, 0.0, MOST_ROWS) for name in ("start", "end"))
    if end <= start:
        raise InvalidInput(f"end is {end:g}; it must be above start, {start:g}")
    return start, end
