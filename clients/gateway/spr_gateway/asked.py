"""What a request asks for, checked: every number has bounds, and nothing of it becomes a path."""

import math
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

from starlette.datastructures import QueryParams
from starlette.requests import Request

from engine.errors import InvalidInput
from engine.words import trimmed
from spr_client import Filter
from trainer.ingest.limits import MOST_ROWS

LONGEST_QUERY = 1000
# A span of a video, as the page's addresses write it; an id may hold any character.
_SPAN = re.compile(r"(.+)@(\d+(?:\.\d+)?)-(\d+(?:\.\d+)?)", re.DOTALL)
Span = tuple[str, float, float]


def collection(request: Request) -> str:
    """Return the name of a collection, "" for the first."""
    return request.query_params.get("collection", "")


def sentences(given: QueryParams, name: str, most: int) -> list[str]:
    """Return the texts of a name, without empty ones; InvalidInput for too many or one that is too long."""
    found = [words for one in given.getlist(name) if (words := trimmed(one))]
    if len(found) > most:
        raise InvalidInput(f"{name} is given {len(found)} times; write at most {most}")
    for words in found:
        if len(words) > LONGEST_QUERY:
            raise InvalidInput(f"{name} has {len(words)} characters; write at most {LONGEST_QUERY}")
    return found


def number(
    given: QueryParams | Request, name: str, low: float, high: float, default: float | None = None
) -> float:
    """Return a number of the query string; InvalidInput unless it lies in low..high."""
    params = given.query_params if isinstance(given, Request) else given
    said = params.get(name, "")
    try:
        value = float(said) if said or default is None else default
    except ValueError:
        value = math.nan
    # Written so that NaN fails.
    if not low <= value <= high:
        raise InvalidInput(f"{name} is {said[:40]!r}; it must be a number from {low:g} to {high:g}")
    return value


def span(request: Request) -> tuple[float, float]:
    """Return start and end in seconds."""
    start, end = (number(request, name, 0.0, MOST_ROWS) for name in ("start", "end"))
    if end <= start:
        raise InvalidInput(f"end is {end:g}; it must be above start, {start:g}")
    return start, end


def spans(given: QueryParams, name: str, most: int) -> list[Span]:
    """Return spans of videos, written VIDEO@START-END."""
    found = list[Span]()
    for said in given.getlist(name):
        match = _SPAN.fullmatch(said)
        if match is None or not float(match[2]) < float(match[3]) <= MOST_ROWS:
            raise InvalidInput(f"{name} is {said[:80]!r}; write VIDEO@START-END, seconds")
        found.append((match[1], float(match[2]), float(match[3])))
    if len(found) > most:
        raise InvalidInput(f"{name} is given {len(found)} times; at most {most} may be")
    return found


def wanted(given: QueryParams) -> Filter | None:
    """Return the filter, None where nothing is filtered."""
    values: dict[str, Any] = {
        "videos": _several(given, "id"),
        "labels": _several(given, "label"),
        "no_labels": _several(given, "nolabel"),
        "folder": given.get("folder", "").strip(),
        "after": _date(given, "after"),
        "before": _date(given, "before"),
        "longer": _optional(given, "longer"),
        "shorter": _optional(given, "shorter"),
    }
    values |= _part(given.get("from", ""), given.get("to", ""))
    _ordered(given, "after", "before", values["after"], values["before"])
    _ordered(given, "longer", "shorter", values["longer"], values["shorter"])
    start, end = values.get("part", (values.get("start"), values.get("end")))
    _ordered(given, "from", "to", start, end, equal=False)
    said = {name: value for name, value in values.items() if value not in ([], "", None)}
    return Filter(**said) if said else None


def _ordered(given: QueryParams, first: str, last: str, low: Any, high: Any, equal: bool = True) -> None:
    """Refuse a range in which nothing lies. equal: whether both ends may be the same."""
    if low is not None and high is not None and not (low <= high if equal else low < high):
        said = f"{first} is {given.get(first, '')!r:.40} and {last} {given.get(last, '')!r:.40}"
        raise InvalidInput(f"{said}: nothing lies between them; write the smaller one first")


def _part(start: str, end: str) -> dict[str, object]:
    """Return the part of every video: two times in seconds, or two shares with percent signs."""
    if not start and not end:
        return {}
    if start.endswith("%") or end.endswith("%"):
        return {"part": (_share(start or "0%"), _share(end or "100%"))}
    times = {"start": start or "0", "end": end}
    return {name: _of("from, to", said, MOST_ROWS) for name, said in times.items() if said}


def _share(said: str) -> float:
    return _of("from, to", said.removesuffix("%"), 100.0) / 100


def _of(name: str, said: str, high: float) -> float:
    return number(QueryParams({name: said}), name, 0.0, high)


def _several(given: QueryParams, name: str) -> Sequence[str]:
    return [one for one in given.getlist(name) if one]


def _optional(given: QueryParams, name: str) -> float | None:
    return number(given, name, 0.0, MOST_ROWS) if given.get(name) else None


def _date(given: QueryParams, name: str) -> date | None:
    if not (said := given.get(name, "")):
        return None
    try:
        found = datetime.fromisoformat(said)
    except ValueError:
        raise InvalidInput(f"{name} is {said[:40]!r}; it must be a date, such as 2024-05-01") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
