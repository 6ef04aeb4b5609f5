"""Judgements through the page, and the sets of queries that `spr annotate` hands over."""

import json
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from engine.errors import InvalidInput, NotFound
from spr.v1 import feedback_service_pb2 as pb
from spr.v1.feedback_service_pb2_grpc import FeedbackServiceStub
from spr_client import errors
from spr_client.access import Access, Opened, Tls
from spr_client.channels import OPTIONS, checked, target
from spr_client.feedback import Judgement, judgement_from_pb, judgement_to_pb
from spr_gateway import asked

LARGEST_BODY = 2 << 20
MOST_SETS, MOST_QUERIES = 8, 5000
PATIENCE = 20.0  # seconds of a judgement: the library syncs it to disk
PAGES = 50  # of 1000 judgements, when a set's progress is counted


class Judging:
    """Endpoints of judgements. Belongs to one event loop."""

    def __init__(self, addresses: Sequence[str], tls: Tls | None = None, token: Path | str = "") -> None:
        self._address = checked(addresses)
        self._access = Access(self._address, tls, token)
        self._own = Opened(self._access, lambda: self._access.aio_channel(target(self._address), OPTIONS))
        self._sets: dict[str, list[str]] = {}

    async def judgements(self, request: Request) -> Response:
        """List a query's judgements (GET), record some (POST), forget some (DELETE)."""
        collection = asked.collection(request)
        if request.method == "GET":
            listing = pb.ListJudgementsRequest(collection=collection, query=_query(request), page_size=1000)
            page = await self._called(self._stub().ListJudgements, listing)
            return _answer({"judgements": [_values(one) for one in page.judgements]})
        given = await _body(request)
        if request.method == "DELETE":
            gone = await self._called(
                self._stub().DeleteJudgements,
                pb.DeleteJudgementsRequest(collection=collection, ids=_texts(given, "ids")),
            )
            return _answer({"deleted": gone.deleted})
        rows = given.get("judgements")
        if not isinstance(rows, list):
            raise InvalidInput("judgements is no list of judgements")
        messages = [_message(row) for row in rows]
        record = pb.RecordJudgementsRequest(collection=collection, judgements=messages)
        kept = await self._called(self._stub().RecordJudgements, record)
        return _answer({"judgements": [_values(one) for one in kept.judgements]})

    async def new_set(self, request: Request) -> Response:
        """Take a set of queries; say under which name the page has it."""
        queries = [" ".join(one.split()) for one in _texts(await _body(request), "queries")]
        unique = list(dict.fromkeys(one for one in queries if one))
        if not 1 <= len(unique) <= MOST_QUERIES:
            raise InvalidInput(f"the set has {len(unique)} queries; give 1 to {MOST_QUERIES}")
        for query in unique:
            if len(query) > asked.LONGEST_QUERY:
                raise InvalidInput(
                    f"a query has {len(query)} characters; write {asked.LONGEST_QUERY} at most"
                )
        while len(self._sets) >= MOST_SETS:
            self._sets.pop(next(iter(self._sets)))
        name = secrets.token_urlsafe(9)
        self._sets[name] = unique
        return _answer({"set": name, "queries": len(unique)})

    async def one_set(self, request: Request) -> Response:
        """Return a set's queries, each with how often `annotator` judged it: where to go on."""
        name = request.path_params["name"]
        if name not in self._sets:
            message = "this set of queries is not known here any more; run `spr annotate` again, it goes on"
            raise NotFound(message, "SET_NOT_FOUND")
        counts = dict.fromkeys(self._sets[name], 0)
        annotator = request.query_params.get("annotator", "")
        listing = pb.ListJudgementsRequest(collection=asked.collection(request), page_size=1000)
        for _ in range(PAGES):
            page = await self._called(self._stub().ListJudgements, listing)
            for one in page.judgements:
                if one.query in counts and one.annotator == annotator:
                    counts[one.query] += 1
            listing.page_token = page.next_page_token
            if not listing.page_token:
                break
        return _answer({"queries": [{"query": query, "judged": n} for query, n in counts.items()]})

    async def close(self) -> None:
        """Close the channel."""
        if (channel := self._own.taken()) is not None:
            await channel.close()

    def _stub(self) -> Any:
        return FeedbackServiceStub(self._own.now)

    async def _called(self, method: Any, message: Any) -> Any:
        try:
            return await method(message, timeout=PATIENCE, metadata=self._access.metadata)
        except grpc.RpcError as error:
            raise errors.from_call(error, self._address) from None


async def _body(request: Request) -> Mapping[str, Any]:
    """Return a request's JSON object. Only this page's scripts may send that type of content."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise InvalidInput("send application/json")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_BODY:
            raise InvalidInput(f"the request has more than {LARGEST_BODY} bytes; send less")
    try:
        value = json.loads(body)
        # Half of a surrogate pair is JSON, but no text.
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise InvalidInput("the request is no JSON object of UTF-8 text")
    return value


def _texts(given: Mapping[str, Any], name: str) -> list[str]:
    value = given.get(name)
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise InvalidInput(f"{name} is no list of texts")
    return value


def _message(row: Any) -> pb.Judgement:
    try:
        shown, grade = row.get("shown"), row["grade"]
        # A grade that is left open is not the grade 0.
        if grade is None:
            raise TypeError
        judgement = Judgement(
            query=row["query"],
            video=row["video"],
            span=(float(row["span"][0]), float(row["span"][1])),
            grade=grade,
            shown=None if shown is None else (float(shown[0]), float(shown[1])),
            rank=row.get("rank", 0),
            annotator=row.get("annotator", ""),
            id=row.get("id", ""),
        )
    except (AttributeError, KeyError, TypeError, ValueError, IndexError):
        message = "a judgement has query, video, span [start, end] and grade"
        raise InvalidInput(message) from None
    return judgement_to_pb(judgement)


def _values(message: pb.Judgement) -> dict[str, Any]:
    one = judgement_from_pb(message)
    names = ("id", "query", "video", "grade", "shown", "rank", "annotator", "who")
    return {name: getattr(one, name) for name in names} | {"span": [round(at, 3) for at in one.span]}


def _answer(value: dict[str, Any]) -> Response:
    return JSONResponse(value, headers={"cache-control": "no-store"})


def _query(request: Request) -> str:
    words = asked.sentences(request.query_params, "q", 1)
    if not words:
        raise InvalidInput("the query is empty; write what the moment shows", "QUERY_EMPTY")
    return words[0]
