"""The public service: translate, search, translate."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TypeAlias

import grpc.aio

from engine import faults, logs, tracing, video_list, wire_explain, wire_search
from engine.answers import Answer
from engine.callers import caller_of
from engine.config import CoordinatorConfig
from engine.cost import cost_of
from engine.deadline import Deadline
from engine.errors import InvalidInput, NotFound, SprError
from engine.listed import Listed
from engine.pages import Token
from engine.paging import Pager
from engine.proposals import ProposalRule
from engine.queries import SearchOptions
from engine.search_log import SearchLog
from engine.served import Collections, Served, ServedCollection
from engine.wire_composed import said
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
        self._pager = Pager(config, self._defaults)
        self._log = SearchLog(config.slow_query, config.log_queries)

    async def Search(self, request: Request, context: Context) -> Response:
        """Answer one query with one page."""
        deadline = self._deadline(context)
        with self._counted(request) as collection:
            return await self._search(request, collection, context, deadline, LARGEST_MESSAGE)

    async def BatchSearch(
        self,
        request: search_pb.BatchSearchRequest,
        context: Context,
    ) -> search_pb.BatchSearchResponse:
        """Answer up to 64 queries, a few at a time, each with its own status and place."""
        if len(request.requests) > LARGEST_BATCH:
            message = f"the batch has {len(request.requests)} queries; send at most {LARGEST_BATCH}"
            raise InvalidInput(message, field="requests")
        deadline = self._deadline(context)
        few = asyncio.Semaphore(max(1, self._config.batch_concurrency))
        most = LARGEST_MESSAGE // max(1, len(request.requests))

        async def entry(number: int, one: Request) -> BatchEntry:
            async with few:
                return await self._entry(number, one, context, deadline, most)

        with self._promised(request.requests, context, deadline):
            # A task for each, since each binds its own request id.
            tasks = [asyncio.create_task(entry(*numbered)) for numbered in enumerate(request.requests)]
            return search_pb.BatchSearchResponse(entries=await asyncio.gather(*tasks))

    @contextlib.contextmanager
    def _promised(self, requests: Sequence[Request], context: Context, deadline: Deadline) -> Iterator[None]:
        """Have a batch in hand; Overloaded where it cannot be done before its deadline."""
        costs: dict[str, float] = {}
        for one in requests:
            costs[one.collection] = costs.get(one.collection, 0.0) + cost_of(one, self._defaults)
        with contextlib.ExitStack() as stack:
            for name, cost in costs.items():
                # An unknown collection fails its own entries alone.
                with contextlib.suppress(NotFound):
                    queue = self._collections.named(name).queue
                    stack.enter_context(queue.promised(caller_of(context), deadline, cost))
            yield

    async def ProgressiveSearch(
        self,
        request: Request,
        context: Context,
    ) -> AsyncIterator[Progress]:
        """Answer one query twice: the coarse list first, then the refined one."""
        deadline = self._deadline(context)
        with self._counted(request) as collection:
            async with self._place(request, collection, context, deadline):
                answers = self._progress(request, collection, context, deadline)
                async with contextlib.aclosing(answers):
                    async for progress in answers:
                        yield progress

    async def Explain(
        self,
        request: search_pb.ExplainRequest,
        context: Context,
    ) -> search_pb.ExplainResponse:
        """Say why moments of one video were found."""
        deadline, search = self._deadline(context), request.search
        try:
            logs.bind_request_id(search.request_id)
            collection = self._collections.named(search.collection)
            async with self._place(search, collection, context, deadline):
                with collection.pinned(search.version) as served:
                    query = wire_search.query_from_pb(search, served.corpus.version, self._defaults)
                    if query.embedding is not None:
                        raise InvalidInput("a vector has no words to compare; send a text", field="embedding")
                    video = served.corpus.catalogue.ordinal(request.video_id)
                    explanation = await served.pipeline.explain(query, video, deadline)
        except InvalidInput as error:
            error.field = f"search.{error.field}"
            raise
        told = (explanation, served.corpus, self._config.uris)
        # In a thread: that reads files.
        response = await asyncio.to_thread(wire_explain.explanation_to_pb, *told)
        response.request_id = logs.request_id.get()
        return response

    async def ListVideos(
        self, request: search_pb.ListVideosRequest, context: Context
    ) -> search_pb.ListVideosResponse:
        """List what is in a collection."""
        with self._collections.named(request.collection).pinned(request.version) as served:
            return await video_list.page(request, served, self._config.uris, LARGEST_MESSAGE)

    async def _progress(
        self, request: Request, collection: ServedCollection, context: Context, deadline: Deadline
    ) -> AsyncGenerator[Progress, None]:
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
                    self._log.answered(answer, collection, served, said(request), context)
                listed = Listed.of(answer, served.corpus, query)
                page = await self._pager.page(listed, 0, size, request if last else None, LARGEST_MESSAGE)
                yield Progress(stage=stage, response=page)
                stage = Progress.STAGE_REFINED

    async def _entry(
        self, number: int, request: Request, context: Context, deadline: Deadline, most: int
    ) -> BatchEntry:
        try:
            logs.bind_request_id(request.request_id)
            with tracing.span("entry"), self._counted(request) as collection:
                answer = await self._search(request, collection, context, deadline, most, batch=True)
            return BatchEntry(response=answer)
        except SprError as error:
            if isinstance(error, InvalidInput):
                error.field = f"requests[{number}].{error.field}"
            _log.info("batch entry refused: %s", faults.words_of(error), extra={"reason": error.reason})
            return BatchEntry(status=faults.status_of(error, logs.request_id.get()))
        except Exception as error:
            _log.error("batch entry failed", exc_info=error)
            return BatchEntry(status=faults.status_of(error, logs.request_id.get()))

    @contextlib.contextmanager
    def _counted(self, request: Request) -> Iterator[ServedCollection]:
        """Yield the collection that a request is about; a failure counts as one of its searches."""
        began = time.perf_counter()
        try:
            name = request.collection
            if request.page_token and not name:
                name = Token.parse(request.page_token).request.collection
            collection = self._collections.named(name)
        except SprError:
            self._collections.first.statistics.failed += 1
            raise
        began = time.monotonic()
        try:
            yield collection
        except Exception as error:
            collection.statistics.failed += 1
            self._log.failed(error, collection, said(request), time.perf_counter() - began)
            raise
        finally:
            collection.statistics.recent.record(time.monotonic() - began)

    async def _search(
        self,
        request: Request,
        collection: ServedCollection,
        context: Context,
        deadline: Deadline,
        most: int,
        batch: bool = False,
    ) -> Response:
        """Answer one query with one page of at most `most` bytes. batch: whether it is one of a batch."""

        def place(asked: Request) -> AbstractAsyncContextManager[None]:
            return self._place(asked, collection, context, deadline, batch)

        if request.page_token:

            def finish(answer: Answer, served: Served, text: str) -> None:
                self._log.answered(answer, collection, served, text, context)

            return await self._pager.next_page(request, collection, deadline, place, finish, most)
        size = wire_search.page_size_from_pb(request.page_size)
        async with place(request):
            with collection.pinned(request.version) as served:
                query = wire_search.query_from_pb(request, served.corpus.version, self._defaults)
                answer = await served.pipeline.search(query, deadline)
        self._log.answered(answer, collection, served, said(request), context)
        listed = Listed.of(answer, served.corpus, query)
        return await self._pager.page(listed, 0, size, request, most)

    def _place(
        self,
        request: Request,
        collection: ServedCollection,
        context: Context,
        deadline: Deadline,
        batch: bool = False,
    ) -> AbstractAsyncContextManager[None]:
        """Hold a place in the collection's queue."""
        return collection.queue.place(caller_of(context), deadline, cost_of(request, self._defaults), batch)

    def _deadline(self, context: Context) -> Deadline:
        config = self._config
        return Deadline.start(context.time_remaining(), config.max_deadline, config.reserve)
