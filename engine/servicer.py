"""The public service: translate, search, translate."""

import asyncio
import contextlib
import contextvars
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import grpc.aio

from engine import faults, logs, wire_search
from engine.admission import Admission
from engine.answers import Answer
from engine.config import CoordinatorConfig
from engine.deadline import Deadline
from engine.errors import DeadlineExceeded, InvalidInput, SprError
from engine.interceptors import when_over
from engine.pages import PageStore
from engine.pipeline import Pipeline
from engine.proposals import ProposalRule
from engine.queries import Query, SearchOptions
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


@dataclass(slots=True)
class Statistics:
    """Counters of searches, for `spr admin status`."""

    answered: int = 0
    failed: int = 0
    degraded: int = 0

    def count(self, answer: Answer) -> None:
        """Count an answer, and whether it was degraded."""
        self.answered += 1
        self.degraded += bool(answer.coverage.degraded)


class SearchServicer(search_service_pb2_grpc.SearchServiceServicer):
    """spr.v1.SearchService over one pipeline. admission: slots for the entries of a batch."""

    def __init__(
        self, pipeline: Pipeline, config: CoordinatorConfig, statistics: Statistics, admission: Admission
    ) -> None:
        self._pipeline = pipeline
        self._config = config
        self._defaults = SearchOptions(
            segment_top_k=config.segment_top_k,
            proposal_top_k=config.proposal_top_k or None,
            rule=ProposalRule.parse(config.proposals),
        )
        self._statistics = statistics
        self._pages: PageStore[Answer] = PageStore(config.page_lists, config.page_ttl)
        self._uris = config.uris
        self._admission = admission
        # Batches together get half of the slots, so they cannot starve single searches.
        self._for_batches = asyncio.Semaphore(max(1, admission.limit // 2))

    async def Search(self, request: Request, context: Context) -> Response:
        """Answer one query with one page."""
        return await self._search(request, context, self._deadline(context))

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
            message = "page_token is not for ProgressiveSearch; ask Search for further pages"
            raise InvalidInput(message, field="page_token")
        query = self._query(request)
        refines = query.options.rerank and query.embedding is None
        stage = Progress.STAGE_COARSE
        async for answer in self._pipeline.answers(query, deadline):
            last = stage == Progress.STAGE_REFINED or not refines
            if last:
                self._finish(answer, context)
            page = self._page(answer, 0, size, "" if last else None, LARGEST_MESSAGE)
            yield Progress(stage=stage, response=page)
            stage = Progress.STAGE_REFINED

    async def _entry(self, request: Request, context: Context, deadline: Deadline, most: int) -> BatchEntry:
        try:
            logs.bind_request_id(request.request_id)
            async with self._slot(deadline):
                return BatchEntry(response=await self._search(request, context, deadline, most))
        except SprError as error:
            _log.info("batch entry refused: %s", faults.words_of(error), extra={"reason": error.reason})
            return BatchEntry(status=faults.status_of(error, logs.request_id.get()))
        except Exception as error:
            _log.error("batch entry failed", exc_info=error)
            return BatchEntry(status=faults.status_of(error, logs.request_id.get()))

    @contextlib.asynccontextmanager
    async def _slot(self, deadline: Deadline) -> AsyncIterator[None]:
        """Hold a slot among the searches in flight; DeadlineExceeded if none comes free."""
        async with contextlib.AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(deadline.left()):
                    await stack.enter_async_context(self._for_batches)
                    await self._admission.wait()
                    stack.callback(self._admission.leave)
            except TimeoutError:
                self._statistics.failed += 1
                message = "the deadline passed while the query waited for its turn; give it more time"
                raise DeadlineExceeded(message) from None
            yield

    async def _search(
        self, request: Request, context: Context, deadline: Deadline, most: int = LARGEST_MESSAGE
    ) -> Response:
        """Answer one query with one page of at most `most` bytes."""
        try:
            size = wire_search.page_size_from_pb(request.page_size)
            if request.page_token:
                return self._next_page(request, size, most)
            query = self._query(request)
            answer = await self._pipeline.search(query, deadline)
        except Exception:
            self._statistics.failed += 1
            raise
        self._finish(answer, context)
        return self._page(answer, 0, size, "", most)

    def _page(self, answer: Answer, first: int, size: int, name: str | None, most: int) -> Response:
        """Return a page, with the token of the next one unless `name` is None.

        name: the list's name in the page cache, empty for one that is not cached yet.
        """
        collection = self._pipeline.collection
        response = wire_search.answer_to_pb(answer, collection, first, size, self._uris)
        response.request_id = logs.request_id.get()
        wire_search.shorten(response, most)
        rest = first + len(response.moments)
        if name is not None and len(response.moments) and rest < len(answer.moments):
            response.next_page_token = self._pages.token(name or self._pages.keep(answer), rest)
        return response

    def _next_page(self, request: Request, size: int, most: int) -> Response:
        wire_search.check_collection(request.collection, self._pipeline.collection)
        name, answer, first = self._pages.find(request.page_token)
        response = self._page(answer, first, size, name, most)
        # Nothing was searched for this page.
        response.ClearField("timings")
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
