"""Queries of several parts, and interpretations <-> messages of spr.v1."""

from collections.abc import Iterator
from pathlib import Path

from google.protobuf.duration_pb2 import Duration

from spr.v1 import search_service_pb2
from spr_client.composed import Composed, Interpretation, Lift
from spr_client.errors import InvalidInput
from spr_client.fields import BAD, put, texts
from spr_client.parts import Clip, Part
from spr_client.translate_filter import seconds_to_pb

LARGEST = 4 << 20  # bytes of a picture file: of a message


def composed_to_pb(query: Composed) -> search_service_pb2.ComposedQuery:
    """Return a query as a message; InvalidInput says what cannot be sent."""
    message = search_service_pb2.ComposedQuery(parts=[part_to_pb(part) for part in query.parts])
    if (within := seconds_to_pb("within", query.within)) is not None:
        message.within.CopyFrom(within)
    return message


def interpretation_from_pb(response: search_service_pb2.SearchResponse) -> Interpretation | None:
    """Return what the server understood, None where it was not asked to."""
    if not response.HasField("interpretation"):
        return None
    told = response.interpretation
    lifts = tuple(Lift(lift.words, lift.meaning) for lift in told.lifts)
    return Interpretation(told.text, tuple(told.then_texts), tuple(told.not_texts), lifts)


def part_to_pb(part: Part) -> search_service_pb2.QueryPart:
    """Return a part as a message, files read; InvalidInput names what cannot be sent."""
    if not isinstance(part, Part):
        raise InvalidInput(f"a part is of type {type(part).__name__}; give a Part", BAD)
    message = search_service_pb2.QueryPart()
    put(message, "text", part.text)
    if part.weight is not None:
        put(message, "example_weight", part.weight)
    message.examples.extend(_examples(part))
    message.not_texts.extend(texts("without", part.without))
    return message


def _examples(part: Part) -> Iterator[search_service_pb2.Example]:
    for name in ("images", "like", "names"):
        if isinstance(given := getattr(part, name), str | bytes | Clip):
            raise InvalidInput(f"{name} is {given!r:.80}; give a list of them", BAD)
    for image in part.images:
        example = search_service_pb2.Example()
        put(example, "image", image if isinstance(image, bytes) else _read(image))
        yield example
    for clip in part.like:
        if not isinstance(clip, Clip):
            raise InvalidInput(f"like holds {clip!r:.80}; give a Clip", BAD)
        example = search_service_pb2.Example()
        put(example.clip, "video_id", clip.video)
        example.clip.span.start_offset.CopyFrom(seconds_to_pb("start", clip.start) or Duration())
        if (end := seconds_to_pb("end", clip.end)) is not None:
            example.clip.span.end_offset.CopyFrom(end)
        yield example
    for name in part.names:
        example = search_service_pb2.Example()
        put(example, "name", name)
        yield example


def _read(path: str | Path) -> bytes:
    try:
        with Path(path).open("rb") as file:
            data = file.read(LARGEST + 1)  # it may have no end
    except (OSError, TypeError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no path"
        raise InvalidInput(f"the picture {path!r:.80} cannot be read: {why}", BAD) from None
    if len(data) > LARGEST:
        raise InvalidInput(f"the picture {path!r:.80} has more than 4 MiB; send a smaller one", BAD)
    return data
