"""What numbers in files of annotations and predictions may be."""

import reprlib
from typing import Any

from engine.errors import InvalidInput

_MOST = 1e300
# Seconds; what is longer is no video, and its segments would fill the memory.
_LONGEST = 1e7


def check_duration(value: Any, where: str) -> float:
    """Return a video's seconds; InvalidInput, beginning with `where`, for what is no positive number."""
    if not _is_number(value) or not 0 < value <= _LONGEST:
        wanted = f"a positive number of seconds, at most {_LONGEST:,.0f}"
        raise InvalidInput(f"{where} is {reprlib.repr(value)}; write {wanted}.")
    return float(value)


def check_span(value: Any, where: str, *, empty: bool = False) -> tuple[float, float]:
    """Return a moment's (start, end) in seconds; InvalidInput, beginning with `where`, for what is none.

    empty: whether a moment may be without length.
    """
    if not isinstance(value, list | tuple) or len(value) != 2 or not all(map(_is_number, value)):
        raise InvalidInput(f"{where} is {reprlib.repr(value)}; write [start, end] in finite seconds.")
    start, end = float(value[0]), float(value[1])
    if start < 0 or end < start or (end == start and not empty):
        wrong = "starts before the video" if start < 0 else "is empty" if end == start else "is reversed"
        raise InvalidInput(f"{where} {list(value)} {wrong}; write 0 <= start {'<=' if empty else '<'} end.")
    if end > _LONGEST:
        raise InvalidInput(f"{where} {list(value)} ends after {_LONGEST:,.0f} s; write seconds of the video.")
    return start, end


def check_number(entry: dict[str, Any], key: str, where: str) -> float:
    """Return the number under `key`; InvalidInput, beginning with `where`, for what is no finite one."""
    value = entry.get(key)
    if not _is_number(value):
        raise InvalidInput(f"{where}: {key!r} is {reprlib.repr(value)}; write a finite number.")
    return float(entry[key])


def _is_number(value: Any) -> bool:
    # An int may have more digits than a float can hold.
    return isinstance(value, int | float) and not isinstance(value, bool) and -_MOST < value < _MOST
