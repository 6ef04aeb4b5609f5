"""The asynchronous client: the same methods on grpc.aio."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

import grpc
import grpc.aio

from spr.v1 import search_service_pb2 as pb
from spr.v1.search_service_pb2_grpc import SearchServiceStub
from spr_client import errors, hedging, translate
from spr_client.access import Access, Metadata, Opened, Tls, none_for_borrowed
from spr_client.channels import ADDRESS, OPTIONS, ORDERED, checked, ways
from spr_client.composed import Composed
from spr_client.explanation import Explanation
from spr_client.parts import Part
from spr_client.retrying import RETRIES, Retries
from spr_client.translate_filter import list_to_pb, video_from_pb
from spr_client.types import Filter, Options, Query, SearchResult, Video

if TYPE_CHECKING:
    from spr.v1.search_service_pb2_grpc import SearchServiceAsyncStub

Reply = TypeVar("Reply")


class AsyncClient:
    """Asks one SPR service for moments. As `Client`, for one event loop.

    async with AsyncClient("localhost:7400") as client:
        result = await client.search("a red ball bounces")
    """

    def __init__(
        self,
        address: str | Sequence[str] = ADDRESS,
        *,
        channel: grpc.aio.Channel | None = None,
        collection: str = "",
        version: str = "",
        retries: int = RETRIES,
        tls: Tls | None = None,
        token: str | Path | None = None,
    ) -> None:
        self._address = "the channel" if channel is not None else checked(address)
        self._borrowed = channel
        if channel is not None:
            none_for_borrowed(tls, token)
        self._access = Access(self._address, tls, token) if channel is None else None
        self._own = None if self._access is None else Opened(self._access, self._opened)
        self._of = {"collection": collection, "version": version}
        self._retries = Retries(retries)
        self._hedges = hedging.Hedges(1 if channel is not None else len(self._address.split(",")))

    async def search(
        self,
        query: Query,
        *,
        page_size: int = 10,
        page_token: str = "",
        timeout: float | None = 10.0,
        request_id: str = "",
        options: Options = Options(),  # noqa: B008
    ) -> SearchResult:
        """Return one page of moments for any query; that for a vector, which has no words, is unrefined."""
        limit = translate.limit(timeout)
        request = translate.request_to_pb(query, options, page_size, page_token, request_id, **self._of)

        def ask(left: float | None) -> Awaitable[pb.SearchResponse]:
            def send(way: int | None = None) -> Awaitable[pb.SearchResponse]:
                return self._stub(way).Search(request, timeout=left, metadata=self._metadata())

            several = self._hedges.ways > 1
            return hedging.search_async(self._hedges, send) if several else hedging.answer(send())

        return translate.result_from_pb(await self._asked(ask, limit))

    async def pages(
        self,
        query: Query,
        *,
        page_size: int = 100,
        timeout: float | None = 10.0,
        options: Options = Options(),  # noqa: B008
    ) -> AsyncIterator[SearchResult]:
        """Yield page after page of one ranked list, which does not shift meanwhile. timeout is per page."""
        page = await self.search(query, page_size=page_size, timeout=timeout, options=options)
        yield page
        while page.next_page:
            page = await self.search("", page_size=page_size, page_token=page.next_page, timeout=timeout)
            yield page

    async def search_batch(
        self,
        queries: Sequence[Query],
        *,
        page_size: int = 10,
        timeout: float | None = 60.0,
        options: Options = Options(),  # noqa: B008
    ) -> list[SearchResult | errors.SearchError]:
        """Return an answer or an error for each of up to 64 queries, in order. The timeout is for all.

        A query that cannot even be sent fails its own entry alone; other bad arguments raise InvalidInput.
        """
        limit = translate.limit(timeout)
        request, refused = translate.batch_to_pb(queries, options, page_size, **self._of)

        def ask(left: float | None) -> Awaitable[pb.BatchSearchResponse]:
            return hedging.answer(self._stub().BatchSearch(request, timeout=left, metadata=self._metadata()))

        response = await self._asked(ask, limit)
        return translate.entries_from_pb(response, refused)

    async def search_progressive(
        self,
        query: Query,
        *,
        page_size: int = 10,
        timeout: float | None = 10.0,
        request_id: str = "",
        options: Options = Options(),  # noqa: B008
    ) -> AsyncIterator[SearchResult]:
        """Yield the coarse answer as soon as it is there, then the refined one, which replaces it."""
        limit = translate.limit(timeout)
        request = translate.request_to_pb(query, options, page_size, "", request_id, **self._of)
        attempts, begun = self._retries.attempts(limit), False
        while True:
            try:
                with _failures(self._address):
                    call = self._stub().ProgressiveSearch(
                        request, timeout=attempts.left(), metadata=self._metadata()
                    )
                    async for message in call:
                        begun = True
                        yield translate.progress_from_pb(attempts.answered(message))
                return
            except errors.SearchError as error:
                if begun:
                    raise
                await asyncio.sleep(attempts.delay(error))

    async def explain(
        self,
        query: str | Part | Composed,
        video: str,
        *,
        timeout: float | None = 10.0,
        request_id: str = "",
        options: Options = Options(),  # noqa: B008
    ) -> Explanation:
        """Return why moments of a video were found; costs a search."""
        limit = translate.limit(timeout)
        search = translate.request_to_pb(query, options, 0, "", request_id, **self._of)
        request = translate.explain_to_pb(search, video)

        def ask(left: float | None) -> Awaitable[pb.ExplainResponse]:
            return hedging.answer(self._stub().Explain(request, timeout=left, metadata=self._metadata()))

        return translate.explanation_from_pb(await self._asked(ask, limit))

    async def videos(
        self, wanted: Filter | None = None, *, page_size: int = 1000, timeout: float | None = 10.0
    ) -> AsyncIterator[Video]:
        """Yield the videos of the collection that a filter lets through, by id. timeout is per page."""
        limit = translate.limit(timeout)
        request = list_to_pb(wanted, page_size, **self._of)

        def ask(left: float | None) -> Awaitable[pb.ListVideosResponse]:
            return hedging.answer(self._stub().ListVideos(request, timeout=left, metadata=self._metadata()))

        while True:
            page = await self._asked(ask, limit)
            for video in page.videos:
                yield video_from_pb(video)
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def close(self) -> None:
        """Close the channel, if it is the client's own."""
        for channel in (self._own and self._own.taken()) or ():
            await channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def _asked(self, call: Callable[[float | None], Awaitable[Reply]], limit: float | None) -> Reply:
        """Return what `call(timeout)` answers; after a refusal ask again when the server says."""
        attempts = self._retries.attempts(limit)
        while True:
            try:
                with _failures(self._address):
                    return attempts.answered(await call(attempts.left()))
            except errors.SearchError as error:
                delay = attempts.delay(error)
            await asyncio.sleep(delay)

    def _stub(self, way: int | None = None) -> "SearchServiceAsyncStub":
        """Return a stub that asks one of the coordinators, by default the one that searches go to first."""
        if self._own is None:
            assert self._borrowed is not None
            return SearchServiceStub(self._borrowed)
        own = self._own.now
        return SearchServiceStub(own[(self._hedges.home if way is None else way) % len(own)])

    def _opened(self) -> list[grpc.aio.Channel]:
        """Return a channel for each way."""
        assert self._access is not None
        led = ways(self._address)
        return [self._access.aio_channel(one, ORDERED if len(led) > 1 else OPTIONS) for one in led]

    def _metadata(self) -> Metadata | None:
        return None if self._access is None else self._access.metadata


@contextmanager
def _failures(address: str) -> Iterator[None]:
    try:
        yield
    except grpc.RpcError as error:
        raise errors.from_call(error, address) from None
    except grpc.aio.UsageError:
        raise errors.SearchError("the channel is closed; open another", "CHANNEL_CLOSED") from None
