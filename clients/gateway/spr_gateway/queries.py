"""Query strings -> requests of spr.v1. The page's address says a query in the same words.

* q, then (repeated), within: sentences in order, and the longest pause between them, seconds
* not: what must not be there
* img, like: ids of pictures, spans VIDEO@START-END: examples of the first sentence
* literal: words that are not interpreted; asis: nothing is
* id, label, nolabel, folder, after, before, longer, shorter, from, to: what may be found
* in: seen, said, written (repeated): where it is sought; none: everywhere
* group, pervideo: a video's moments together; so many of each
"""

from collections.abc import Callable, Sequence
from typing import Any

from starlette.datastructures import QueryParams

from engine.errors import InvalidInput
from spr.v1 import search_service_pb2 as pb
from spr.v1 import types_pb2
from spr_client import Options
from spr_client.translate import request_to_pb
from spr_gateway import asked
from spr_gateway.evidence import CHANNELS

MOST_PARTS, MOST_NOT, MOST_EXAMPLES = 5, 5, 10
LONGEST_PAUSE = 3600.0  # seconds
# A list of pictures says each thing once: of moments that overlap the best is shown.
DISTINCT = 0.4
Picture = Callable[[str], bytes]


def request_of(given: QueryParams, picture: Picture, size: int) -> pb.SearchRequest:
    """Return the request of a query string. picture: gives the bytes of an uploaded one by its id."""
    per_video = int(asked.number(given, "pervideo", 0, 1000, 0))
    options = Options(
        nms_iou=DISTINCT,
        filter=asked.wanted(given),
        per_video=per_video or None,
        grouped=bool(given.get("group")) or None,
        facets=True,
        merge_duplicates=True,
    )
    request = request_to_pb("", options, size, collection=given.get("collection", ""))
    request.params.channels.extend(_channels(given.getlist("in")))
    texts = asked.sentences(given, "q", 1) or [""]
    composed = _composed(given, texts[0], picture)
    if composed is None:
        if not texts[0]:
            raise InvalidInput("the query is empty; write what the moment shows", "QUERY_EMPTY")
        request.text, request.interpret = texts[0], not given.get("asis")
        request.literal_words.extend(given.getlist("literal"))
    else:
        request.composed.CopyFrom(composed)
    return request


def plain(collection: str, text: str, size: int) -> pb.SearchRequest:
    """Return the request of one sentence as it stands."""
    return request_to_pb(text, Options(nms_iou=DISTINCT), size, collection=collection)


def title(given: QueryParams) -> str:
    """Return what a query is called in the files made of it."""
    words = [*asked.sentences(given, "q", 1), *asked.sentences(given, "then", MOST_PARTS)]
    return ", then ".join(words) or "like the examples"


def _channels(named: Sequence[str]) -> list[types_pb2.Channel.ValueType]:
    """Return the channels of names, each once; InvalidInput for what is none."""
    if unknown := [name for name in named if name not in CHANNELS.values()]:
        raise InvalidInput(f"in is {unknown[0][:40]!r}; write seen, said or written")
    return [channel for channel, name in CHANNELS.items() if name in named]


def _composed(given: QueryParams, text: str, picture: Picture) -> pb.ComposedQuery | None:
    """Return a query of more than one sentence, None where it is one."""
    then = asked.sentences(given, "then", MOST_PARTS - 1)
    absent = asked.sentences(given, "not", MOST_NOT)
    examples = [pb.Example(image=picture(one)) for one in given.getlist("img")[: MOST_EXAMPLES + 1]]
    examples += [pb.Example(clip=_clip(*span)) for span in asked.spans(given, "like", MOST_EXAMPLES)]
    if len(examples) > MOST_EXAMPLES:
        raise InvalidInput(f"{len(examples)} examples are given; give at most {MOST_EXAMPLES}")
    if not (then or absent or examples):
        return None
    if not text and not examples:
        raise InvalidInput("the query is empty; write what the moment shows, or add a picture", "QUERY_EMPTY")
    parts = [pb.QueryPart(text=text, examples=examples, not_texts=absent)]
    parts += [pb.QueryPart(text=words) for words in then]
    composed = pb.ComposedQuery(parts=parts)
    if then and given.get("within"):
        _put_seconds(composed.within, asked.number(given, "within", 0.0, LONGEST_PAUSE))
    return composed


def _clip(video: str, start: float, end: float) -> pb.VideoSpan:
    span = pb.VideoSpan(video_id=video)
    _put_seconds(span.span.start_offset, start)
    _put_seconds(span.span.end_offset, end)
    return span


def _put_seconds(duration: Any, seconds: float) -> None:
    duration.FromMicroseconds(round(seconds * 1_000_000))
