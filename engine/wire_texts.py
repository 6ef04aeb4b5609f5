"""What is sought and found in texts <-> messages. What comes in is checked here, once."""

from collections.abc import Iterable, Sequence

import numpy as np

from engine import wire
from engine.errors import InvalidInput, Mismatch
from engine.evidence import Finding
from engine.queries import LONGEST_TEXT
from engine.texts import CHANNELS, LISTS, MEANING, WORDS, Line, ListName, TextHits, TextsSought
from engine.types import Hits
from spr.internal.v1 import index_shard_service_pb2 as shard_pb
from spr.v1 import search_service_pb2 as search_pb
from spr.v1 import types_pb2

_CHANNELS = dict(zip(CHANNELS, types_pb2.Channel.values()[1:], strict=True))
_METHODS = {
    MEANING: types_pb2.Finding.METHOD_MEANING,
    WORDS: types_pb2.Finding.METHOD_WORDS,
}
_LISTS = {(_CHANNELS[one.channel], _METHODS[one.method]): one for one in LISTS}


def channels_from_pb(channels: Iterable[int], field: str) -> tuple[str, ...]:
    """Return the channels that are named, each once; InvalidInput for an unknown one."""
    given = list(channels)
    for number, channel in enumerate(given):
        if channel not in _CHANNELS.values():
            message = f"{field}[{number}] is {channel}; send CHANNEL_SEEN, CHANNEL_SAID or CHANNEL_WRITTEN"
            raise InvalidInput(message, field=f"{field}[{number}]")
    return tuple(name for name in CHANNELS if _CHANNELS[name] in given)


def channels_to_pb(channels: Iterable[str]) -> "list[types_pb2.Channel.ValueType]":
    """Return the numbers of channels."""
    return [_CHANNELS[name] for name in channels]


def put_list(
    message: types_pb2.Finding | shard_pb.TextHits | search_pb.RetrievedSegment, name: tuple[str, str]
) -> None:
    """Write which list something is in."""
    channel, method = name
    message.channel, message.method = _CHANNELS[channel], _METHODS[method]


def put_findings(moments: Iterable[types_pb2.Moment], found: Iterable[Iterable[Finding]]) -> None:
    """Write what found each moment; where `found` is empty nothing."""
    for moment, findings in zip(moments, found, strict=False):
        for one in findings:
            finding = moment.found_by.add(rank=one.rank, part=one.part)
            put_list(finding, one.name)
            if one.line is not None:
                _put_line(finding.line, one.line, one.pieces)


def _put_line(message: types_pb2.TextLine, line: Line, pieces: Iterable[tuple[str, bool]]) -> None:
    start, end = (divmod(round(seconds * 1e9), 1_000_000_000) for seconds in (line.start, line.end))
    wire.put_span(message.span, (*start, *end))
    message.pieces.extend(types_pb2.TextPiece(text=text, matched=is_word) for text, is_word in pieces)
    if line.box is not None:
        left, top, right, bottom = line.box
        message.box.CopyFrom(types_pb2.ScreenBox(left=left, top=top, right=right, bottom=bottom))


def sought_to_pb(sought: TextsSought) -> shard_pb.TextQuery:
    """Return what is sought in texts as a message."""
    message = shard_pb.TextQuery(channels=[_CHANNELS[name] for name in sought.channels], text=sought.text)
    if sought.sentence is not None:
        message.sentence.CopyFrom(wire.tensor_to_pb(sought.sentence))
    return message


def sought_from_pb(message: shard_pb.TextQuery, dim: int) -> TextsSought:
    """Return what is sought in texts; InvalidInput where it cannot be. dim: of sentence vectors, 0: none."""
    channels = channels_from_pb(message.channels, "texts.channels")
    if "seen" in channels:
        raise InvalidInput("texts.channels has CHANNEL_SEEN, which has no texts", field="texts.channels")
    if len(message.text) > LONGEST_TEXT:
        told = f"texts.text has {len(message.text)} characters; send at most {LONGEST_TEXT}"
        raise InvalidInput(told, field="texts.text")
    sentence = None
    if message.HasField("sentence"):
        sentence = wire.tensor_from_pb(message.sentence, [dim], "texts.sentence")
    return TextsSought(channels, message.text, sentence)


def hits_to_pb(found: Iterable[TextHits]) -> list[shard_pb.TextHits]:
    """Return lists of hits as messages."""
    messages = []
    for one in found:
        message = shard_pb.TextHits(
            video_ordinals=wire.ints_to_bytes(one.hits.videos),
            segment_ordinals=wire.ints_to_bytes(one.hits.segments),
            scores=wire.floats_to_bytes(one.hits.scores),
        )
        put_list(message, one.name)
        messages.append(message)
    return messages


def hits_from_pb(
    messages: Sequence[shard_pb.TextHits], channels: Sequence[int], videos: int
) -> list[TextHits]:
    """Return a shard's lists in the order of LISTS; Mismatch unless they are of these channels, each once.

    videos: of the catalogue. Whether the shard holds what it answers is checked in engine.retrieval.
    """
    found = dict[ListName, TextHits]()
    for message in messages:
        name = _LISTS.get((message.channel, message.method))
        if name is None or name in found or message.channel not in channels:
            raise Mismatch("answered a list of texts that was not asked for", "SHARD_MISMATCH")
        ordinals = wire.ints_from_bytes(message.video_ordinals, "texts.video_ordinals")
        segments = wire.ints_from_bytes(message.segment_ordinals, "texts.segment_ordinals")
        scores = wire.floats_from_bytes(message.scores, "texts.scores")
        if not len(ordinals) == len(segments) == len(scores):
            raise Mismatch(f"texts of {len(ordinals)} videos, {len(segments)} segments, {len(scores)} scores")
        if len(ordinals) and not (0 <= ordinals.min() and ordinals.max() < videos and segments.min() >= 0):
            raise Mismatch(f"texts name videos beyond the {videos} of the catalogue", "GENERATION_MISMATCH")
        if not np.isfinite(scores).all():
            raise Mismatch("texts have scores that are not finite; build the version again")
        found[name] = TextHits(name, Hits(ordinals, segments, scores))
    return [found[name] for name in LISTS if name in found]
