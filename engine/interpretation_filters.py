"""Words that say which videos, and which part of each: patterns, and what they set of a filter.

A rule sets a field that is not set yet and says what it did; "" leaves the words in the text.
"""

import calendar
import re
from collections.abc import Callable
from datetime import UTC, date, datetime

from spr.v1 import search_service_pb2 as pb

Put = Callable[[re.Match[str], pb.Filter], str]

_QUOTED = r"[\"'“](?P<quoted>[^\"'”]+)[\"'”]"
# A name that no word of a description looks like: with a digit, a dot, a slash, "_" or "-" in it.
_NAME = r"(?P<name>(?=[^\s,;]*(?:[\d_/-]|\.\w))[^\s,;]*[^\s,;.?])"
_CLOCK = r"(?:(?:(?P<{0}h>\d+):)?(?P<{0}m>\d{{1,2}}):(?P<{0}s>[0-5]\d))(?!:?\d|\s*(?:[ap]\.?m\b|o'clock|h\b))"
_COUNTS = {"a": 1, "one": 1, "two": 2, "three": 3, "five": 5, "ten": 10, "": 1}
_COUNT = r"(?:(?P<count>\d+|one|two|three|five|ten)\s+)?(?P<unit>second|minute|hour)s?"
_UNITS = {"second": 1, "minute": 60, "hour": 3600}
_SHARES = {
    ("first", "half"): (0.0, 0.5),
    ("second", "half"): (0.5, 1.0),
    ("last", "half"): (0.5, 1.0),
    ("first", "third"): (0.0, 1 / 3),
    ("last", "third"): (2 / 3, 1.0),
    ("first", "quarter"): (0.0, 0.25),
    ("last", "quarter"): (0.75, 1.0),
}
_OF_VIDEO = r"(?:\s+of\s+(?:the|a|each|every)\s+(?:video|film|clip|recording)s?)?"


def _video(match: re.Match[str], to: pb.Filter) -> str:
    if to.video_ids:
        return ""
    to.video_ids.append(match["quoted"] or match["name"])
    return f"in video {to.video_ids[0]} alone"


def _folder(match: re.Match[str], to: pb.Filter) -> str:
    if to.folder:
        return ""
    to.folder = match["quoted"] or match["name"]
    return f"files in folder {to.folder} alone"


def _label(match: re.Match[str], to: pb.Filter) -> str:
    if to.any_labels:
        return ""
    to.any_labels.append(match["quoted"] or match["name"])
    return f"videos labelled {to.any_labels[0]} alone"


def _from(match: re.Match[str], to: pb.Filter) -> str:
    return _span(to, _seconds(match, "a"), None)


def _until(match: re.Match[str], to: pb.Filter) -> str:
    return _span(to, 0, _seconds(match, "a"))


def _between(match: re.Match[str], to: pb.Filter) -> str:
    return _span(to, _seconds(match, "a"), _seconds(match, "b"))


def _beginning(match: re.Match[str], to: pb.Filter) -> str:
    return _span(to, 0, _amount(match))


def _later(match: re.Match[str], to: pb.Filter) -> str:
    return _span(to, _amount(match), None)


def _share(match: re.Match[str], to: pb.Filter) -> str:
    share = _SHARES.get((match["which"].lower(), match["size"].lower()))
    if share is None or to.WhichOneof("part"):
        return ""
    to.share.start, to.share.end = share
    return f"in the {match['which'].lower()} {match['size'].lower()} of each video"


def _since(match: re.Match[str], to: pb.Filter) -> str:
    day = _day(match["day"])
    if day is None or to.HasField("from_date"):
        return ""
    to.from_date.FromDatetime(day)
    return f"videos dated {day:%Y-%m-%d} or later"


def _dated_before(match: re.Match[str], to: pb.Filter) -> str:
    day = _day(match["day"])
    if day is None or to.HasField("before_date"):
        return ""
    to.before_date.FromDatetime(day)
    return f"videos dated before {day:%Y-%m-%d}"


def _seconds(match: re.Match[str], group: str) -> int:
    hours, minutes, seconds = (int(match[f"{group}{unit}"] or 0) for unit in "hms")
    return 3600 * hours + 60 * minutes + seconds


def _amount(match: re.Match[str]) -> int:
    count = (match["count"] or "").lower()
    return (int(count) if count.isdigit() else _COUNTS[count]) * _UNITS[match["unit"].lower()]


def _span(to: pb.Filter, start: int, end: int | None) -> str:
    """Set the part of every video that is searched."""
    if to.WhichOneof("part") or (end is not None and end <= start) or max(start, end or 0) > 10**8:
        return ""
    to.span.start_offset.seconds = start
    if end is None:
        return f"from {_clock(start)} of each video on"
    to.span.end_offset.seconds = end
    return f"from {_clock(start)} to {_clock(end)} of each video"


def _clock(seconds: int) -> str:
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _day(text: str) -> datetime | None:
    """Return midnight, UTC, of a year, a month of it or a day; None for what is none."""
    numbers = [int(number) for number in text.split("-")]
    year, month, day = (*numbers, 1, 1)[:3]
    if not 1 <= month <= 12 or not 1 <= day <= calendar.monthrange(year, month)[1]:
        return None
    return datetime.combine(date(year, month, day), datetime.min.time(), UTC)


def _rule(pattern: str, put: Put) -> tuple[re.Pattern[str], Put]:
    return re.compile(rf"(?:,\s*)?{pattern}", re.IGNORECASE), put


_YEAR = r"(?P<day>(?:19|20)\d\d(?:-\d\d(?:-\d\d)?)?)(?![\d:-])(?=\s*(?:[,;.?]|$))"
_A, _B = _CLOCK.format("a"), _CLOCK.format("b")
FILTERS: tuple[tuple[re.Pattern[str], Put], ...] = (
    _rule(rf"\b(?:in|of|from)\s+(?:the\s+)?video\s+(?:{_QUOTED}|{_NAME})", _video),
    _rule(rf"\b(?:in|from)\s+(?:the\s+)?folder\s+(?:{_QUOTED}|{_NAME})", _folder),
    # "A box labelled fragile" describes a box; "videos labelled news" and 'label:news' do not.
    _rule(rf"\b(?:in|of|from)\s+videos\s+(?:labell?ed|tagged)\s+(?:{_QUOTED}|(?P<name>[^\s,;.?]+))", _label),
    _rule(rf"\blabel:(?:{_QUOTED}|(?P<name>[^\s,;]+))", _label),
    _rule(rf"\bbetween\s+{_A}\s+and\s+{_B}{_OF_VIDEO}", _between),
    _rule(rf"\bfrom\s+{_A}\s+(?:to|until)\s+{_B}{_OF_VIDEO}", _between),
    _rule(rf"\b(?:after|from)\s+{_A}(?:\s+on)?{_OF_VIDEO}", _from),
    _rule(rf"\b(?:before|until)\s+{_A}{_OF_VIDEO}", _until),
    _rule(rf"\b(?:in|during|within)\s+the\s+first\s+{_COUNT}\b{_OF_VIDEO}(?=\s*(?:[,;.?]|$))", _beginning),
    _rule(rf"\bafter\s+the\s+first\s+{_COUNT}\b{_OF_VIDEO}(?=\s*(?:[,;.?]|$))", _later),
    _rule(
        r"\b(?:in|during)\s+the\s+(?P<which>first|second|last)\s+(?P<size>half|third|quarter)\b"
        rf"{_OF_VIDEO}(?=\s*(?:[,;.?]|$))",
        _share,
    ),
    _rule(rf"\b(?:in|of|from)\s+videos\s+(?:since|from|after)\s+{_YEAR}", _since),
    _rule(rf"\bsince\s+{_YEAR}", _since),
    _rule(rf"\b(?:in|of|from)\s+videos\s+before\s+{_YEAR}", _dated_before),
)
