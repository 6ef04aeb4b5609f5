"""Endpoints of searches: answers as lines of JSON, explanations."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from spr.v1 import search_service_pb2 as pb
from spr_client import PermissionDenied, SearchError
from spr_gateway import answers, asked, queries
from spr_gateway.shelf import Shelf
from spr_gateway.upstream import Upstream

MOST_MOMENTS = 100
_FRESH = {"cache-control": "no-store", "x-accel-buffering": "no"}


class Searches:
    """Asks the coordinator. picture: gives an uploaded picture by its id."""

    def __init__(self, upstream: Upstream, shelf: Shelf, picture: queries.Picture) -> None:
        self._upstream, self._shelf, self._picture = upstream, shelf, picture

    async def search(self, request: Request) -> Response:
        """Stream a query's answers, a line of JSON each: coarse, then refined. Of `page`, that page alone."""
        size = int(asked.number(request, "size", 1, MOST_MOMENTS, 24))
        if token := request.query_params.get("page", ""):
            wanted = pb.SearchRequest(collection=asked.collection(request), page_token=token, page_size=size)
            return JSONResponse(answers.result(await self._upstream.page(wanted)))
        found = self._upstream.search(queries.request_of(request.query_params, self._picture, size))
        # Until it is there, an error has a status of its own.
        first = await anext(found)
        return StreamingResponse(_lines(first, found), 200, _FRESH, "application/x-ndjson")

    async def explain(self, request: Request) -> Response:
        """Say why moments of a video were found."""
        wanted = queries.request_of(request.query_params, self._picture, 0)
        why = await self._upstream.explain(wanted, request.path_params["video"])
        return JSONResponse(answers.explanation(why), headers=_FRESH)

    async def collections(self, request: Request) -> Response:
        """Say what is served, and where one can look in each."""
        try:
            served = await self._upstream.collections()
        except PermissionDenied:
            # A token that may search is enough for a page: its files tell as much.
            served = await asyncio.to_thread(self._shelf.collections)
        channels = await asyncio.to_thread(lambda: [self._shelf.channels(str(one["name"])) for one in served])
        told = [one | {"channels": each} for one, each in zip(served, channels, strict=True)]
        return JSONResponse({"collections": told})

    async def matches(self, request: Request) -> Response:
        """Say what standing searches found lately."""
        found = await self._upstream.matches(asked.collection(request))
        told = [answers.match(one, text) for one, text in found]
        return JSONResponse({"matches": told}, headers=_FRESH)


async def _lines(
    first: pb.ProgressiveSearchResponse, rest: AsyncIterator[pb.ProgressiveSearchResponse]
) -> AsyncIterator[bytes]:
    yield _line(_answer(first))
    try:
        async for message in rest:
            yield _line(_answer(message))
    except SearchError as error:
        yield _line(answers.refusal(error)[1])


def _answer(message: pb.ProgressiveSearchResponse) -> dict[str, Any]:
    return answers.result(message.response, message.stage == message.STAGE_REFINED)


def _line(value: dict[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"
