"""The public service: translate, search, translate."""

import asyncio
import contextlib
import contextvars
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from functools import partial
from typing import TypeAlias

import grpc.aio

from engine import faults, logs, wire_explain, wire_search
from engine.answers import Answer
from engine.config import CoordinatorConfig
from engine.deadline import Deadline
from engine.errors import DeadlineExceeded, InvalidInput, SprError
from engine.interceptors import when_over
from engine.listed import Listed
from engine.pages import PageStore
from engine.proposals import ProposalRule
from engine.queries import SearchOptions
from engine.served import Collections, ServedCollection
from spr.v1 import search_service_pb2 as search_pb
from spr.v1 import search_service_pb2_grpc

_log = logging.getLogger("spr.search")
LARGEST_BATCH = 64
# gRPC clients accept 4 MiB by default; the rest is for the fields around the moments.
LARGEST_MESSAGE = 7 << 19

Context: TypeAlias = "grpc.aio.ServicerContext[object, object]"
Request = search_pb.SearchRequest
Response = search_pb.SearchResponse
BatchEntry = search_pb.BatchSearchResponse.Entry
Progress = search_pb.ProgressiveSearchResponse


class SearchServicer(search_service_pb2_grpc.SearchServiceServicer):
    """spr.v1.SearchService over several collections."""

    def __init__(self, collections: Collections, config: CoordinatorConfig) -> None:
        self._collections = collections
        self._config = config
        self._defaults = SearchOptions(
            segment_top_k=config.segment_top_k,
            proposal_top_k=config.proposal_top_k or None,
            rule=ProposalRule.parse(config.proposals),
        )
        self._pages: PageStore[Listed] = PageStore(config.page_lists, config.page_ttl)
        self._uris = config.uris

    async def Search(self, request: Request, context: Context) -> Response:
        """Answer one query with one page."""
        deadline = self._deadline(context)
        with self._counted(request.collection) as collection:
            collection.admission.enter()
            try:
                return await self._search(request, collection, context, deadline, LARGEST_MESSAGE)
            finally:
                collection.admission.leave()

    async def BatchSearch(
        self,
        request: search_pb.BatchSearchRequest,
        context: Context,
    ) -> search_pb.BatchSearchResponse:
        """Answer up to 64 queries, a few at a time, each with its own status and slot."""
        if len(request.requests) > LARGEST_BATCH:
            message = f"the batch has {len(request.requests)} queries; send at most {LARGEST_BATCH}"
            raise InvalidInput(message, field="requests")
        deadline = self._deadline(context)
        few = asyncio.Semaphore(max(1, self._config.batch_concurrency))
        most = LARGEST_MESSAGE // max(1, len(request.requests))

        async def entry(one: Request) -> BatchEntry:
            async with few:
                return await self._entry(one, context, deadline, most)

        # A task for each, since each binds its own request id.
        tasks = [asyncio.create_task(entry(one)) for one in request.requests]
        return search_pb.BatchSearchResponse(entries=await asyncio.gather(*tasks))

    async def ProgressiveSearch(
        self,
        request: Request,
        context: Context,
    ) -> AsyncIterator[Progress]:
        """Answer one query twice: the coarse list first, then the refined one."""
        with self._counted(request.collection) as collection:
            collection.admission.enter()
            try:
                async with contextlib.aclosing(self._progress(request, collection, context)) as answers:
                    async for progress in answers:
                        yield progress
            finally:
                collection.admission.leave()

    async def Explain(
        self,
        request: search_pb.ExplainRequest,
        context: Context,
    ) -> search_pb.ExplainResponse:
        """Say why moments of one video were found."""
        deadline, search = self._deadline(context), request.search
        collection = self._collections.named(search.collection)
        collection.admission.enter()
        try:
            with collection.pinned(search.version) as served:
                query = wire_search.query_from_pb(search, served.corpus.version, self._defaults)
                if query.embedding is not None:
                    raise InvalidInput(
                        "a vector has no words to compare; send a text", field="search.embedding"
                    )
                video = served.corpus.catalogue.ordinal(request.video_id)
                explanation = await served.pipeline.explain(query, video, deadline)
        finally:
            collection.admission.leave()
        response = wire_explain.explanation_to_pb(explanation, served.corpus, self._uris)
        response.request_id = logs.request_id.get()
        return response

    async def _progress(
        self, request: Request, collection: ServedCollection, context: Context
    ) -> AsyncGenerator[Progress, None]:
        deadline = self._deadline(context)
        size = wire_search.page_size_from_pb(request.page_size)
        if request.page_token:
            message = "page_token is not for ProgressiveSearch; ask Search for further pages"
            raise InvalidInput(message, field="page_token")
        with collection.pinned(request.version) as served:
            query = wire_search.query_from_pb(request, served.corpus.version, self._defaults)
            refines = query.options.rerank and query.embedding is None
            stage = Progress.STAGE_COARSE
            async for answer in served.pipeline.answers(query, deadline):
                last = stage == Progress.STAGE_REFINED or not refines
                if last:
                    _finish(answer, collection, context)
                listed = Listed.of(answer, served.corpus)
                page = self._page(listed, 0, size, "" if last else None, LARGEST_MESSAGE)
                yield Progress(stage=stage, response=page)
                stage = Progress.STAGE_REFINED

    async def _entry(self, request: Request, context: Context, deadline: Deadline, most: int) -> BatchEntry:
        try:
            logs.bind_request_id(request.request_id)
            with self._counted(request.collection) as collection:
                async with _slot(collection, deadline):
                    answer = await self._search(request, collection, context, deadline, most)
            return BatchEntry(response=answer)
        except SprError as error:
            _log.info("batch entry refused: %s", faults.words_of(error), extra={"reason": error.reason})
            return BatchEntry(status=faults.status_of(error, logs.request_id.get()))
        except Exception as error:
            _log.error("batch entry failed", exc_info=error)
            return BatchEntry(status=faults.status_of(error, logs.request_id.get()))

    @contextlib.contextmanager
    def _counted(self, name: str) -> Iterator[ServedCollection]:
        """Yield the collection of that name; a failure counts as one of its searches."""
        try:
            collection = self._collections.named(name)
        except SprError:
            self._collections.first.statistics.failed += 1
            raise
        try:
            yield collection
        except Exception:
            collection.statistics.failed += 1
            raise

    async def _search(
        self, request: Request, collection: ServedCollection, context: Context, deadline: Deadline, most: int
    ) -> Response:
        """Answer one query with one page of at most `most` bytes."""
        size = wire_search.page_size_from_pb(request.page_size)
        if request.page_token:
            return self._next_page(request, size, most)
        with collection.pinned(request.version) as served:
            query = wire_search.query_from_pb(request, served.corpus.version, self._defaults)
            answer = await served.pipeline.search(query, deadline)
        _finish(answer, collection, context)
        return self._page(Listed.of(answer, served.corpus), 0, size, "", most)

    def _page(self, listed: Listed, first: int, size: int, name: str | None, most: int) -> Response:
        """Return a page, with the token of the next one unless `name` is None.

        name: the list's name in the page cache, empty for one that is not cached yet.
        """
        response = wire_search.page_to_pb(listed, first, size, self._uris)
        response.request_id = logs.request_id.get()
        wire_search.shorten(response, most)
        rest = first + len(response.moments)
        if name is not None and len(response.moments) and rest < len(listed.answer.moments):
            response.next_page_token = self._pages.token(name or self._pages.keep(listed), rest)
        return response

    def _next_page(self, request: Request, size: int, most: int) -> Response:
        name, listed, first = self._pages.find(request.page_token)
        if request.collection not in ("", listed.collection):
            raise InvalidInput(
                f"the page token is of collection {listed.collection!r}; send that name, or none",
                "PAGE_TOKEN_INVALID",
                "page_token",
            )
        response = self._page(listed, first, size, name, most)
        # Nothing was searched for this page.
        response.ClearField("timings")
        return response

    def _deadline(self, context: Context) -> Deadline:
        config = self._config
        return Deadline.start(context.time_remaining(), config.max_deadline, config.reserve)


@contextlib.asynccontextmanager
async def _slot(collection: ServedCollection, deadline: Deadline) -> AsyncIterator[None]:
    """Hold a slot among a collection's searches in flight; DeadlineExceeded if none comes free."""
    async with contextlib.AsyncExitStack() as stack:
        try:
            async with asyncio.timeout(deadline.left()):
                await stack.enter_async_context(collection.for_batches)
                await collection.admission.wait()
                stack.callback(collection.admission.leave)
        except TimeoutError:
            message = "the deadline passed while the query waited for its turn; give it more time"
            raise DeadlineExceeded(message) from None
        yield


def _finish(answer: Answer, collection: ServedCollection, context: Context) -> None:
    collection.statistics.count(answer)
    when_over(context, partial(contextvars.copy_context().run, _describe, answer))


def _describe(answer: Answer) -> None:
    """Write the access log of one search."""
    stages = {stage: round(1000 * seconds, 2) for stage, seconds in answer.timings}
    coverage = answer.coverage
    fields = {
        "ms": stages,
        "moments": len(answer.moments),
        "coverage": round(coverage.ratio, 4),
        "degraded": [reason.name for reason in coverage.degraded],
    }
    _log.info("answered", extra=fields)
