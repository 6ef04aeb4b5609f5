"""The public service: translate, search, translate."""

import asyncio
import contextvars
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import grpc.aio

from engine import faults, logs, wire_search
from engine.answers import Answer
from engine.config import CoordinatorConfig
from engine.deadline import Deadline
from engine.errors import InvalidInput
from engine.interceptors import when_over
from engine.pages import PageStore
from engine.pipeline import Pipeline
from engine.proposals import ProposalRule
from engine.queries import Query, SearchOptions
from spr.v1 import search_service_pb2 as search_pb
from spr.v1 import search_service_pb2_grpc

_log = logging.getLogger("spr.search")
LARGEST_BATCH = 64

Context: TypeAlias = "grpc.aio.ServicerContext[object, object]"
Request = search_pb.SearchRequest
Response = search_pb.SearchResponse
BatchEntry = search_pb.BatchSearchResponse.Entry
Progress = search_pb.ProgressiveSearchResponse


@dataclass(slots=True)
class Statistics:
    """What was answered so far, for the operator."""

    answered: int = 0
    failed: int = 0
    degraded: int = 0

    def count(self, answer: Answer) -> None:
        """Count an answer, and whether it was less than whole."""
        self.answered += 1
        self.degraded += bool(answer.coverage.degraded)


class SearchServicer(search_service_pb2_grpc.SearchServiceServicer):
    """spr.v1.SearchService over one pipeline."""

    def __init__(self, pipeline: Pipeline, config: CoordinatorConfig, statistics: Statistics) -> None:
        self._pipeline = pipeline
        self._config = config
        self._defaults = SearchOptions(
            segment_top_k=config.segment_top_k,
            proposal_top_k=config.proposal_top_k or None,
            rule=ProposalRule.parse(config.proposals),
        )
        self._statistics = statistics
        self._pages: PageStore[Answer] = PageStore(config.page_lists, config.page_ttl)

    async def Search(self, request: Request, context: Context) -> Response:
        """Answer one query with one page."""
        return await self._search(request, context, self._deadline(context))

    async def BatchSearch(
        self,
        request: search_pb.BatchSearchRequest,
        context: Context,
    ) -> search_pb.BatchSearchResponse:
        """Answer up to 64 queries, each with its own status, a few at a time."""
        if len(request.requests) > LARGEST_BATCH:
            raise InvalidInput(f"the batch has {len(request.requests)} queries; at most {LARGEST_BATCH}")
        deadline = self._deadline(context)
        places = asyncio.Semaphore(max(1, self._config.batch_concurrency))

        async def entry(one: Request) -> BatchEntry:
            async with places:
                return await self._entry(one, context, deadline)

        # Tasks, because each binds its own request id.
        tasks = [asyncio.create_task(entry(one)) for one in request.requests]
        return search_pb.BatchSearchResponse(entries=await asyncio.gather(*tasks))

    async def ProgressiveSearch(
        self,
        request: Request,
        context: Context,
    ) -> AsyncIterator[Progress]:
        """Answer one query twice: the coarse list first, then the refined one."""
        try:
            async for progress in self._progress(request, context):
                yield progress
        except Exception:
            self._statistics.failed += 1
            raise

    async def _progress(self, request: Request, context: Context) -> AsyncIterator[Progress]:
        deadline = self._deadline(context)
        size = wire_search.page_size_from_pb(request.page_size)
        if request.page_token:
            raise InvalidInput("page_token is not for ProgressiveSearch; ask Search for further pages")
        query = self._query(request)
        refines = query.options.rerank and query.embedding is None
        stage = Progress.STAGE_COARSE
        async for answer in self._pipeline.answers(query, deadline):
            last = stage == Progress.STAGE_REFINED or not refines
            if last:
                self._finish(answer, context)
            yield Progress(stage=stage, response=self._page(answer, size, keep=last))
            stage = Progress.STAGE_REFINED

    async def _entry(self, request: Request, context: Context, deadline: Deadline) -> BatchEntry:
        try:
            logs.bind_request_id(request.request_id)
            return BatchEntry(response=await self._search(request, context, deadline))
        except Exception as error:
            _log.info("batch entry failed", exc_info=error)
            return BatchEntry(status=faults.status_of(error, logs.request_id.get()))

    async def _search(self, request: Request, context: Context, deadline: Deadline) -> Response:
        try:
            size = wire_search.page_size_from_pb(request.page_size)
            if request.page_token:
                return self._next_page(request, size)
            query = self._query(request)
            answer = await self._pipeline.search(query, deadline)
        except Exception:
            self._statistics.failed += 1
            raise
        self._finish(answer, context)
        return self._page(answer, size, keep=True)

    def _page(self, answer: Answer, size: int, keep: bool) -> Response:
        collection = self._pipeline.collection
        response = wire_search.answer_to_pb(answer, collection, 0, size, logs.request_id.get())
        if keep and size < len(answer.moments):
            response.next_page_token = self._pages.token(self._pages.keep(answer), size)
        return response

    def _next_page(self, request: Request, size: int) -> Response:
        collection = self._pipeline.collection
        wire_search.check_collection(request.collection, collection)
        name, answer, first = self._pages.find(request.page_token)
        response = wire_search.answer_to_pb(answer, collection, first, size, logs.request_id.get())
        # Nothing was searched for this page.
        response.ClearField("timings")
        if first + size < len(answer.moments):
            response.next_page_token = self._pages.token(name, first + size)
        return response

    def _finish(self, answer: Answer, context: Context) -> None:
        self._statistics.count(answer)
        when_over(context, partial(contextvars.copy_context().run, _describe, answer))

    def _query(self, request: Request) -> Query:
        return wire_search.query_from_pb(request, self._pipeline.collection, self._defaults)

    def _deadline(self, context: Context) -> Deadline:
        config = self._config
        return Deadline.start(context.time_remaining(), config.max_deadline, config.reserve)


def _describe(answer: Answer) -> None:
    """Write the line of one search."""
    stages = {stage: round(1000 * seconds, 2) for stage, seconds in answer.timings}
    coverage = answer.coverage
    fields = {
        "ms": stages,
        "moments": len(answer.moments),
        "coverage": round(coverage.ratio, 4),
        "degraded": [reason.name for reason in coverage.degraded],
    }
    _log.info("answered", extra=fields)
