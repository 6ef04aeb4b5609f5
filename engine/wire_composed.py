"""Queries of several parts and with negative texts <-> spr.v1.ComposedQuery."""

from collections.abc import Iterable
from dataclasses import replace

from engine import wire, wire_examples
from engine.errors import InvalidInput
from engine.examples import Part
from engine.queries import LONGEST_TEXT, MOST_NEGATIVES, MOST_PARTS, WITHIN, Interpretation
from engine.words import trimmed
from spr.v1 import search_service_pb2 as search_pb

LONGEST_PAUSE = 86_400.0


def parts_from_pb(composed: search_pb.ComposedQuery) -> tuple[Part, ...]:
    """Return the parts of a query; InvalidInput says which one cannot be."""
    if not composed.parts:
        message = "the query has no parts; send one at least"
        raise InvalidInput(message, "QUERY_EMPTY", "composed.parts")
    if len(composed.parts) > MOST_PARTS:
        message = f"the query has {len(composed.parts)} parts; send at most {MOST_PARTS}"
        raise InvalidInput(message, field="composed.parts")
    return tuple(_part(part, f"composed.parts[{i}]") for i, part in enumerate(composed.parts))


def within_from_pb(composed: search_pb.ComposedQuery) -> float:
    """Return the longest pause between two parts, in seconds."""
    if not composed.HasField("within"):
        return WITHIN
    seconds = wire.duration_from_pb(composed.within)
    # Written so that NaN fails.
    if not 0 <= seconds <= LONGEST_PAUSE:
        message = f"within is {seconds:g} s; it must lie in 0..{LONGEST_PAUSE:g}"
        raise InvalidInput(message, field="composed.within")
    return seconds


def understood_to_pb(understood: Interpretation) -> search_pb.Interpretation:
    """Return what a text was taken for as a message."""
    lift = search_pb.Interpretation.Lift
    return search_pb.Interpretation(
        text=understood.text,
        then_texts=understood.then_texts,
        not_texts=understood.not_texts,
        filter=understood.filter,
        lifts=[lift(words=one.words, meaning=one.meaning) for one in understood.lifts],
    )


def said(request: search_pb.SearchRequest) -> str:
    """Return a request's words, for logs."""
    if request.WhichOneof("query") != "composed":
        return request.text
    return ", then ".join(part.text for part in request.composed.parts)


def text_of(given: str, field: str) -> str:
    """Return a text without space around it; InvalidInput if nothing is left, or too much is."""
    text = trimmed(given)
    if not text:
        raise InvalidInput(f"{field} is empty; send a sentence", "QUERY_EMPTY", field)
    if len(text) > LONGEST_TEXT:
        message = f"{field} has {len(text)} characters; send at most {LONGEST_TEXT}"
        raise InvalidInput(message, field=field)
    return text


def negatives_from(texts: Iterable[str], field: str) -> tuple[str, ...]:
    """Return what must not be there."""
    found = [text_of(text, f"{field}[{number}]") for number, text in enumerate(texts)]
    if len(found) > MOST_NEGATIVES:
        message = f"{field} has {len(found)} texts; send at most {MOST_NEGATIVES}"
        raise InvalidInput(message, field=field)
    return tuple(found)


def _part(part: search_pb.QueryPart, field: str) -> Part:
    shown = wire_examples.part_from_pb(part, field)
    return replace(shown, not_texts=negatives_from(part.not_texts, f"{field}.not_texts"))
