"""The messages of examples <-> their values. What comes in is checked here, once."""

import math
from collections.abc import Sequence

from engine import wire
from engine.errors import InvalidInput
from engine.examples import MOST, WEIGHT, Clip, Example, Frame, Named, Part, Picture, Shown, Source, Span
from engine.queries import LONGEST_TEXT
from engine.words import trimmed
from spr.internal.v1 import encoder_service_pb2
from spr.internal.v1.encoder_service_pb2 import EncodeExamplesRequest, ExampleSource, StoredSpan
from spr.v1 import search_service_pb2 as search_pb

LATEST = 1e9  # seconds from a video's first frame


def part_from_pb(part: search_pb.QueryPart, field: str) -> Part:
    """Return what one moment shows; InvalidInput names the path of the wrong field below `field`."""
    text = trimmed(part.text)
    if not text and not part.examples:
        message = f"{field}.text is empty; send a sentence or examples"
        raise InvalidInput(message, "QUERY_EMPTY", f"{field}.text")
    if len(text) > LONGEST_TEXT:
        message = f"the text has {len(text)} characters; send at most {LONGEST_TEXT}"
        raise InvalidInput(message, field=f"{field}.text")
    if len(part.examples) > MOST:
        message = f"there are {len(part.examples)} examples; send at most {MOST}"
        raise InvalidInput(message, field=f"{field}.examples")
    weight = part.example_weight if part.HasField("example_weight") else WEIGHT
    # Written so that NaN fails.
    if not 0 <= weight <= 1:
        message = f"example_weight is {weight:g}; it must lie in 0..1"
        raise InvalidInput(message, field=f"{field}.example_weight")
    examples = [_example(one, f"{field}.examples[{number}]") for number, one in enumerate(part.examples)]
    return Part(text, tuple(examples), weight)


def _example(example: search_pb.Example, field: str) -> Example:
    kind = example.WhichOneof("source")
    if kind == "image":
        if not example.image:
            raise InvalidInput("the picture is empty; send a file's bytes", field=f"{field}.image")
        return Picture(example.image)
    if kind == "name":
        return Named(example.name)
    if kind is None:
        message = "the example is empty; send a picture, a clip or a name"
        raise InvalidInput(message, field=field)
    start = wire.duration_from_pb(example.clip.span.start_offset)
    ends = example.clip.span.HasField("end_offset")
    end = wire.duration_from_pb(example.clip.span.end_offset) if ends else None
    if not 0 <= start < (LATEST if end is None else min(end, LATEST)):
        shown = f"{start:g} s to {'the end' if end is None else f'{end:g} s'}"
        message = f"the clip goes from {shown}; it must begin at 0 or later and end after that"
        raise InvalidInput(message, field=f"{field}.clip.span")
    return Clip(example.clip.video_id, start, end)


def sources_to_pb(sources: Sequence[Source]) -> EncodeExamplesRequest:
    """Return sources as a request; the caller adds its id, the version and the model."""
    return EncodeExamplesRequest(examples=[_source_to_pb(source) for source in sources])


def _source_to_pb(source: Source) -> ExampleSource:
    if isinstance(source, Picture):
        return ExampleSource(image=source.data)
    if isinstance(source, Frame):
        return ExampleSource(frame=wire.tensor_to_pb(source.row))
    if isinstance(source, Shown):
        tensors = {"embedding": source.embedding, "frame": source.frame}
        columns = {name: wire.tensor_to_pb(tensor) for name, tensor in tensors.items()}
        return ExampleSource(shown=encoder_service_pb2.Shown(**columns))
    stored = StoredSpan(video_ordinal=source.video, start=source.start, end=source.end or 0.0)
    return ExampleSource(span=stored)


def sources_from_pb(request: EncodeExamplesRequest, dim: int, index_dim: int, videos: int) -> list[Source]:
    """Return a request's examples; InvalidInput unless there are 1 to 10 that make sense.

    dim: of a frame. index_dim: of the index's space. videos: of the version.
    """
    if not 1 <= len(request.examples) <= MOST:
        message = f"there are {len(request.examples)} examples; send 1 to {MOST}"
        raise InvalidInput(message, field="examples")
    if request.alone and len(request.examples) > 1:
        raise InvalidInput(f"{len(request.examples)} examples are not one alone; send one", field="alone")
    sizes = dim, index_dim, videos
    return [_source(one, *sizes, f"examples[{number}]") for number, one in enumerate(request.examples)]


def _source(example: ExampleSource, dim: int, index_dim: int, videos: int, field: str) -> Source:
    kind = example.WhichOneof("source")
    if kind == "image":
        return Picture(example.image)
    if kind == "frame":
        return Frame(wire.tensor_from_pb(example.frame, [dim], f"{field}.frame"))
    if kind == "shown":
        embedding = wire.tensor_from_pb(example.shown.embedding, [index_dim], f"{field}.shown.embedding")
        return Shown(embedding, wire.tensor_from_pb(example.shown.frame, [dim], f"{field}.shown.frame"))
    span = example.span
    end = span.end or None
    # Written so that NaN fails.
    sound = 0 <= span.start < LATEST and (end is None or span.start < end <= math.inf)
    if kind is None or not sound or span.video_ordinal >= videos:
        message = f"the example names no span of the version's {videos} videos"
        raise InvalidInput(message, field=f"{field}.span")
    return Span(span.video_ordinal, span.start, end)
