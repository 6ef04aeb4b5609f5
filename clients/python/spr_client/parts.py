"""What a moment shows: a text, examples, or both."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from google.protobuf.duration_pb2 import Duration

from spr.v1 import search_service_pb2
from spr_client.errors import InvalidInput
from spr_client.fields import BAD, put
from spr_client.translate_filter import seconds_to_pb


@dataclass(frozen=True, slots=True)
class Clip:
    """A span of a video of the collection, in seconds, [start, end). end None: to the video's end."""

    video: str
    start: float = 0.0
    end: float | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """What a moment shows: a text, examples that it looks like, or both; at most ten examples in all.

    images: JPEG, PNG or WebP files, by path or as their bytes. like: spans of videos of the collection.
    names: given with `spr corpus name`, with or without the "@". weight: 0..1, of the examples against the
    text; None: the server's.
    """

    text: str = ""
    images: Sequence[bytes | str | Path] = ()
    like: Sequence[Clip] = ()
    names: Sequence[str] = ()
    weight: float | None = None


def part_to_pb(part: Part) -> search_service_pb2.QueryPart:
    """Return a part as a message, files read; InvalidInput names what cannot be sent."""
    message = search_service_pb2.QueryPart()
    put(message, "text", part.text)
    if part.weight is not None:
        put(message, "example_weight", part.weight)
    message.examples.extend(_examples(part))
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
        return Path(path).read_bytes()
    except (OSError, TypeError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no path"
        raise InvalidInput(f"the picture {path!r:.80} cannot be read: {why}", BAD) from None
