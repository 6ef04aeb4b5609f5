"""Queries of several parts, and interpretations <-> messages of spr.v1."""

import math
from numbers import Real

from google.protobuf.duration_pb2 import Duration

from spr.v1 import search_service_pb2
from spr_client.composed import Composed, Interpretation, Lift, Part
from spr_client.errors import InvalidInput

BAD = "BAD_PARAMETER"


def composed_to_pb(query: Composed) -> search_service_pb2.ComposedQuery:
    """Return a query as a message; InvalidInput says what cannot be sent."""
    message = search_service_pb2.ComposedQuery(parts=[_part_to_pb(part) for part in query.parts])
    if query.within is not None:
        if not isinstance(query.within, Real) or not 0 <= query.within < math.inf:
            raise InvalidInput(f"within is {query.within!r:.80}; give seconds, 0 or more", BAD)
        message.within.CopyFrom(_duration(query.within))
    return message


def interpretation_from_pb(response: search_service_pb2.SearchResponse) -> Interpretation | None:
    """Return what the server understood, None where it was not asked to."""
    if not response.HasField("interpretation"):
        return None
    told = response.interpretation
    lifts = tuple(Lift(lift.words, lift.meaning) for lift in told.lifts)
    return Interpretation(told.text, tuple(told.then_texts), tuple(told.not_texts), lifts)


def _part_to_pb(part: Part) -> search_service_pb2.QueryPart:
    if not isinstance(part, Part):
        raise InvalidInput(f"a part is of type {type(part).__name__}; give a Part", BAD)
    if isinstance(part.without, str):
        raise InvalidInput(f"without is {part.without!r:.80}; give a list of texts", BAD)
    try:
        return search_service_pb2.QueryPart(text=part.text, not_texts=part.without)
    except (TypeError, ValueError):
        raise InvalidInput(f"the part {part!r:.80} holds what is no text", BAD) from None


def _duration(seconds: float) -> Duration:
    whole, nanos = divmod(round(seconds * 1_000_000_000), 1_000_000_000)
    return Duration(seconds=whole, nanos=nanos)
