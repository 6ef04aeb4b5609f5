"""What found a moment, as the page reads it: channels, ranks, lines with their matched words."""

from typing import Any

from spr.v1 import search_service_pb2, types_pb2
from spr.v1.types_pb2 import Finding

# Those that the page can show. What has none is of a service that searches pictures alone.
CHANNELS = {
    types_pb2.CHANNEL_SEEN: "seen",
    types_pb2.CHANNEL_SAID: "said",
    types_pb2.CHANNEL_WRITTEN: "written",
}
_METHODS = {Finding.METHOD_MEANING: "meaning", Finding.METHOD_WORDS: "words"}


def found_by(moment: types_pb2.Moment) -> list[dict[str, Any]]:
    """Return the lists that a moment is in, in the service's order; ranks, parts from 0, times in seconds."""
    several = bool(moment.parts)
    return [
        source(one)
        | {"rank": one.rank, "line": _line(one.line) if one.HasField("line") else None}
        | ({"part": one.part} if several else {})
        for one in moment.found_by
        if one.channel in CHANNELS
    ]


def source(one: Finding | search_service_pb2.RetrievedSegment) -> dict[str, str]:
    """Return the list that something was found in."""
    return {
        "channel": CHANNELS.get(one.channel, "seen"),
        "method": _METHODS.get(one.method, "meaning"),
    }


def span(sent: types_pb2.TimeSpan) -> list[float]:
    """Return start and end in seconds."""
    return [round(at.ToMicroseconds() / 1e6, 3) for at in (sent.start_offset, sent.end_offset)]


def _line(line: types_pb2.TextLine) -> dict[str, Any]:
    start, end = span(line.span)
    box = line.box
    return {
        "start": start,
        "end": end,
        "pieces": [[piece.text, piece.matched] for piece in line.pieces],
        "box": [box.left, box.top, box.right, box.bottom] if line.HasField("box") else None,
    }
