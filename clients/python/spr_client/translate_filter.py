"""Filters and lists of videos <-> messages of spr.v1."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time
from numbers import Real

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from spr.v1 import search_service_pb2
from spr_client.errors import InvalidInput
from spr_client.fields import BAD, put, put_given, texts
from spr_client.types import Facet, Filter, Video

LONGEST = 1e11  # seconds that a message can carry: 3000 years


def filter_to_pb(given: Filter) -> search_service_pb2.Filter:
    """Return a filter as a message; InvalidInput names the field that cannot be sent."""
    if not isinstance(given, Filter):
        raise InvalidInput(f"filter is of type {type(given).__name__}; give a Filter", BAD)
    if given.part is not None and (given.start is not None or given.end is not None):
        raise InvalidInput("start, end and part are two ways to say a part; give one of them", BAD)
    message = search_service_pb2.Filter(
        video_ids=texts("videos", given.videos),
        any_labels=texts("labels", given.labels),
        all_labels=texts("all_labels", given.all_labels),
        no_labels=texts("no_labels", given.no_labels),
        from_date=_time("after", given.after),
        before_date=_time("before", given.before),
        min_duration=seconds_to_pb("longer", given.longer),
        max_duration=seconds_to_pb("shorter", given.shorter),
    )
    put_given(message, "folder", given.folder)
    if given.start is not None or given.end is not None:
        message.span.start_offset.CopyFrom(seconds_to_pb("start", given.start) or Duration())
        if (end := seconds_to_pb("end", given.end)) is not None:
            message.span.end_offset.CopyFrom(end)
    if given.part is not None:
        try:
            message.share.start, message.share.end = given.part
        except (TypeError, ValueError):
            raise InvalidInput(f"part is {given.part!r}; give two shares, such as (0.5, 1.0)", BAD) from None
    return message


def list_to_pb(
    wanted: Filter | None, page_size: int, collection: str, version: str
) -> search_service_pb2.ListVideosRequest:
    """Return a request for the first page of a list of videos; the caller adds the token of the others."""
    filtered = None if wanted is None else filter_to_pb(wanted)
    request = search_service_pb2.ListVideosRequest(filter=filtered)
    put(request, "collection", collection)
    put(request, "version", version)
    put(request, "page_size", page_size)
    return request


def video_from_pb(video: search_service_pb2.Video) -> Video:
    """Return a video of a collection."""
    return Video(
        id=video.id,
        uri=video.uri,
        duration=float(video.duration.seconds + video.duration.nanos / 1e9),
        labels=tuple(video.labels),
        date=video.date.ToDatetime(UTC) if video.HasField("date") else None,
        added=video.add_time.ToDatetime(UTC) if video.HasField("add_time") else None,
    )


def facets_from_pb(facets: Iterable[search_service_pb2.Facet]) -> tuple[Facet, ...]:
    """Return how often labels are in an answer."""
    return tuple(Facet(facet.label, facet.videos, facet.moments) for facet in facets)


def _time(field: str, given: date | None) -> Timestamp | None:
    if given is None:
        return None
    if not isinstance(given, date):
        raise InvalidInput(f"{field} is {given!r:.80}; give a date or a datetime", BAD)
    if not isinstance(given, datetime):
        given = datetime.combine(given, time(), UTC)
    message = Timestamp()
    try:
        message.FromDatetime(given)
    except (OverflowError, ValueError):
        raise InvalidInput(f"{field} is {given!r:.80}; give a date of the years 1 to 9999", BAD) from None
    return message


def seconds_to_pb(field: str, given: float | None) -> Duration | None:
    """Return seconds as a message, None for None; InvalidInput for what is no time."""
    if given is None:
        return None
    if not isinstance(given, Real) or not 0 <= given <= LONGEST:
        raise InvalidInput(f"{field} is {given!r:.80}; give seconds, 0 or more, at most {LONGEST:g}", BAD)
    # NumPy's short numbers cannot count nanoseconds.
    whole, nanos = divmod(round(float(given) * 1_000_000_000), 1_000_000_000)
    return Duration(seconds=whole, nanos=nanos)
