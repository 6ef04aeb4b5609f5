"""Channels and ranked lists <-> messages of spr.v1."""

from collections.abc import Sequence

from spr.v1 import search_service_pb2, types_pb2
from spr_client.errors import InvalidInput
from spr_client.fields import BAD

CHANNELS = {
    "seen": types_pb2.CHANNEL_SEEN,
    "said": types_pb2.CHANNEL_SAID,
    "written": types_pb2.CHANNEL_WRITTEN,
}
_NAMES = {number: name for name, number in CHANNELS.items()}
_METHODS = {types_pb2.Finding.METHOD_MEANING: "meaning", types_pb2.Finding.METHOD_WORDS: "words"}


def channels_to_pb(channels: Sequence[str]) -> list["types_pb2.Channel.ValueType"]:
    """Return where a text is sought; InvalidInput for an unknown channel."""
    known = ", ".join(map(repr, CHANNELS))
    if isinstance(channels, str) or not isinstance(channels, Sequence):
        raise InvalidInput(f"channels is {channels!r}; give a list of {known}", BAD)
    unknown = [name for name in channels if name not in CHANNELS]
    if unknown:
        raise InvalidInput(f"channels has {unknown[0]!r}; give some of {known}", BAD)
    return [CHANNELS[name] for name in channels]


def list_from_pb(message: types_pb2.Finding | search_service_pb2.RetrievedSegment) -> tuple[str, str]:
    """Return channel and method of a list, "" for what this client does not know."""
    return _NAMES.get(message.channel, ""), _METHODS.get(message.method, "")
