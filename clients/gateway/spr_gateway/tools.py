"""Search as tools of the Model Context Protocol: text and addresses of the page, never a video's bytes."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import wraps
from importlib.metadata import version
from inspect import getdoc
from typing import Any, TypeVar

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations

from spr_client import Curve, Moment, SearchError, clock
from spr_client.display import link
from spr_client.translate import explanation_from_pb, result_from_pb
from spr_gateway import answers, queries
from spr_gateway.upstream import Upstream

MOST_MOMENTS = 50
MOST_VALUES = 120
READS = ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=False)
Answer = TypeVar("Answer")


def serve(addresses: Sequence[str], admin: str, page: str) -> None:
    """Answer on standard input and output until they are closed."""

    async def run() -> None:
        upstream = Upstream(addresses, admin)
        try:
            await server(upstream, page).run_stdio_async()
        finally:
            await upstream.close()

    asyncio.run(run())


def server(upstream: Upstream, page: str) -> MCPServer[Any]:
    """Return the server. page: address of the web page, "" for none."""
    tools = _Tools(upstream, page)
    made: MCPServer[Any] = MCPServer(
        "spr",
        instructions="Search for moments in videos by what is seen, said and written in them.",
        version=version("spr-engine"),
        log_level="WARNING",
    )
    for tool in (tools.search, tools.explain, tools.list_collections):
        made.add_tool(_told(tool), description=getdoc(tool), annotations=READS)
    return made


class _Tools:
    """What may be asked for; docstrings are read by the model that calls."""

    def __init__(self, upstream: Upstream, page: str) -> None:
        self._upstream, self._page = upstream, page

    async def search(self, query: str, collection: str = "", limit: int = 10) -> dict[str, Any]:
        """Find moments in videos that show what a sentence says, best first.

        query: one sentence in plain words, such as "a red ball bounces". collection: a name, "" for the
        first. limit: 1 to 50 moments. Times are seconds; confidence is a probability; `link` plays the moment
        for a person.
        """
        size = min(max(limit, 1), MOST_MOMENTS)
        refined = None
        async for message in self._upstream.search(queries.plain(collection, query, size)):
            refined = message.response
        if refined is None:
            raise SearchError("the service gave no answer; ask again", "UNAVAILABLE")
        value = answers.result(refined)
        value["moments"] = self._moments(result_from_pb(refined).moments, value, value["collection"], query)
        return {key: value[key] for key in ("moments", "total", "coverage", "noConfidentMatch", "collection")}

    async def explain(self, query: str, video: str, collection: str = "") -> dict[str, Any]:
        """Say why moments of one video were found: similarity to the sentence over time, what was retrieved.

        query: the sentence; video: an id from search; collection: as for search.
        """
        sent = await self._upstream.explain(queries.plain(collection, query, 0), video)
        value, why = answers.explanation(sent), explanation_from_pb(sent)
        value["moments"] = self._moments(why.moments, value, collection, query)
        for name in ("frames", "subtitles"):
            value[name] = answers.curve(_coarser(getattr(why, name)))
        return value

    async def list_collections(self) -> dict[str, Any]:
        """List the collections that can be searched, and how many videos each holds."""
        return {"collections": await self._upstream.collections()}

    def _moments(
        self, moments: Sequence[Moment], answer: Mapping[str, Any], collection: str, query: str
    ) -> list[dict[str, Any]]:
        """Return the moments of an answer, each with what found it."""
        told = zip(moments, answer["moments"], strict=True)
        return [self._moment(one, collection, query) | {"foundBy": row["foundBy"]} for one, row in told]

    def _moment(self, one: Moment, collection: str, query: str) -> dict[str, Any]:
        value = answers.moment(one) | {"at": f"{clock(one.start)}-{clock(one.end)}"}
        return value | {"link": link(self._page, one, collection, query)} if self._page else value


def _coarser(curve: Curve | None) -> Curve | None:
    """Return a curve of at most MOST_VALUES, each the highest of its time: a model reads every number."""
    if curve is None or len(curve.values) <= MOST_VALUES:
        return curve
    width = -(-len(curve.values) // MOST_VALUES)
    starts = range(0, len(curve.values), width)
    return Curve(curve.step * width, tuple(max(curve.values[n : n + width]) for n in starts))


def _told(tool: Callable[..., Awaitable[Answer]]) -> Callable[..., Awaitable[Answer]]:
    """Return a tool whose refusals reach the model as a sentence."""

    @wraps(tool)
    async def answer(*given: Any, **named: Any) -> Answer:
        try:
            return await tool(*given, **named)
        except SearchError as error:
            raise ToolError(str(error)) from None

    return answer
