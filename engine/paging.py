"""Pages of ranked lists: the first of an answer, and the next ones, of a cached list or of a new search."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace

from engine import logs, pages, wire_search, wire_texts
from engine.answers import Answer
from engine.config import CoordinatorConfig
from engine.deadline import Deadline
from engine.errors import NotFound, quoted
from engine.listed import Listed
from engine.pages import PageStore, Token
from engine.printable import same_name
from engine.queries import SearchOptions
from engine.served import Served, ServedCollection
from engine.wire_composed import said
from spr.v1.search_service_pb2 import SearchRequest, SearchResponse

USUAL_LIST = 200  # moments


class Pager:
    """The ranked lists of one coordinator. defaults: options of a search that does not say."""

    def __init__(self, config: CoordinatorConfig, defaults: SearchOptions) -> None:
        self._lists: PageStore[Listed] = PageStore(config.page_lists, config.page_ttl, weigh=_lists)
        self._uris, self._defaults = config.uris, defaults

    async def page(
        self, listed: Listed, first: int, size: int, asked: SearchRequest | Token | None, most: int
    ) -> SearchResponse:
        """Return a page of at most `most` bytes, with the token of the next one unless `asked` is None.

        asked: the request that made the list, or the token that led to it.
        """
        response = wire_search.page_to_pb(listed, first, size, self._uris)
        response.request_id = logs.request_id.get()
        if listed.answer.evidence is not None or listed.answer.steps is not None:
            # In a thread: that reads files.
            rows = slice(first, first + len(response.moments))
            found = await asyncio.to_thread(listed.answer.findings, rows)
            wire_texts.put_findings(response.moments, found)
        wire_search.shorten(response, most)
        rest = first + len(response.moments)
        if asked is not None and len(response.moments) and rest < len(listed.answer.moments):
            token = self._kept(listed, asked) if isinstance(asked, SearchRequest) else asked
            response.next_page_token = replace(token, offset=rest).text()
        return response

    async def next_page(
        self,
        request: SearchRequest,
        collection: ServedCollection,
        deadline: Deadline,
        place: Callable[[SearchRequest], AbstractAsyncContextManager[None]],
        finish: Callable[[Answer, Served, str], None],
        most: int,
    ) -> SearchResponse:
        """Return the page of a request's token, whatever coordinator gave it; else PAGE_TOKEN_INVALID.

        collection: the token's, unless the request names another. place, finish: of a search that is needed:
        its place in the queue, and what gets its answer.
        """
        size, token = wire_search.page_size_from_pb(request.page_size), Token.parse(request.page_token)
        of = token.request.collection
        if request.collection and not same_name(request.collection, of):
            raise pages.refusal(f"is of collection {of!r}", "send that name, or none")
        kept = self._lists.find(token.digest)
        listed = kept or await self._again(token, collection, deadline, place, finish)
        response = await self.page(listed, token.offset, size, token, most)
        if kept is not None:
            # Nothing was searched for this page.
            response.ClearField("timings")
        return response

    def _kept(self, listed: Listed, request: SearchRequest) -> Token:
        """Cache a list, and return the token of it."""
        asked = SearchRequest()
        asked.CopyFrom(request)
        for name in ("request_id", "page_size", "page_token"):
            asked.ClearField(name)
        asked.DiscardUnknownFields()
        asked.collection, asked.version = listed.collection, listed.version
        token = Token(pages.digest(listed), 0, asked)
        self._lists.keep(token.digest, listed)
        return token

    async def _again(
        self,
        token: Token,
        collection: ServedCollection,
        deadline: Deadline,
        place: Callable[[SearchRequest], AbstractAsyncContextManager[None]],
        finish: Callable[[Answer, Served, str], None],
    ) -> Listed:
        """Search anew for a list that expired or is another coordinator's; refuse where another one comes."""
        if token.request.WhichOneof("query") is None:
            raise pages.refusal("is of a list that has expired or is kept elsewhere")
        try:
            async with place(token.request):
                with collection.pinned(token.request.version) as served:
                    query = wire_search.query_from_pb(token.request, served.corpus.version, self._defaults)
                    answer = await served.pipeline.search(query, deadline)
        except NotFound:
            why = f"is of version {quoted(token.request.version)}, which is not served any more"
            raise pages.refusal(why) from None
        finish(answer, served, said(token.request))
        listed = Listed.of(answer, served.corpus, query)
        if pages.digest(listed) != token.digest:
            raise pages.refusal("is of a list that is gone, and the same search gives another one now")
        self._lists.keep(token.digest, listed)
        return listed


def _lists(listed: Listed) -> float:
    """Return as how many lists of the usual length one counts in the page cache."""
    return max(1.0, len(listed.answer.moments) / USUAL_LIST)
