"""StandingService as the library serves it to the coordinators."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import grpc
from prometheus_client.metrics_core import Metric

from engine import metrics, versions
from engine.admission import Admission
from engine.errors import InvalidInput, NotFound, SprError, quoted
from engine.queries import LONGEST_TEXT
from engine.wire_filter import filter_from_pb
from spr.v1 import standing_service_pb2 as pb
from spr.v1 import standing_service_pb2_grpc
from spr.v1.search_service_pb2 import Filter
from trainer.library.standing import counting
from trainer.library.standing.hooks import Hooks
from trainer.library.standing.judging import Judging
from trainer.library.standing.posting import Hosts
from trainer.library.standing.rows import Search, now
from trainer.library.standing.store import Store

SERVICE = pb.DESCRIPTOR.services_by_name["StandingService"].full_name
LOOK = 0.05  # seconds between looks for new matches
MOST_LISTED, LISTED = 1000, 100
LONGEST_ID, LONGEST_NAME, LONGEST_SECRET = 64, 200, 256
# Of WatchMatches: streams are open for long, and each is a few kilobytes.
STREAMS = 64


def admissions() -> dict[str, Admission]:
    """Return the admission controls of calls that take no place of others."""
    return {f"/{SERVICE}/WatchMatches": Admission(STREAMS)}


class StandingServicer(standing_service_pb2_grpc.StandingServiceServicer):
    """StandingService over the stores, by name of their collection; the first is that of ""."""

    def __init__(self, stores: Mapping[str, Store], judging: Judging, hooks: Hooks, hosts: Hosts) -> None:
        self._stores, self._judging, self._hooks, self._hosts = dict(stores), judging, hooks, hosts

    def CreateStandingSearch(
        self, request: pb.CreateStandingSearchRequest, context: grpc.ServicerContext
    ) -> pb.CreateStandingSearchResponse:
        """Note a search, durably."""
        store = self._store(request.standing_search.collection)
        asked = self._checked(request, store)
        _ = self._judging.asking
        version = versions.newest(store.collection)
        if version and asked.WhichOneof("sure") == "precision":
            self._judging.calibration(store, version).threshold(asked)
        search = store.create(asked, request.webhook_secret.encode(), request.existing)
        self._judging.wake()
        return pb.CreateStandingSearchResponse(standing_search=self._described(store, [search])[0])

    def ListStandingSearches(
        self, request: pb.ListStandingSearchesRequest, context: grpc.ServicerContext
    ) -> pb.ListStandingSearchesResponse:
        """Return all, oldest first."""
        store = self._store(request.collection)
        found = self._described(store, store.searches())
        return pb.ListStandingSearchesResponse(standing_searches=found)

    def DeleteStandingSearch(
        self, request: pb.DeleteStandingSearchRequest, context: grpc.ServicerContext
    ) -> pb.DeleteStandingSearchResponse:
        """Forget one."""
        self._store(request.collection).delete(request.id)
        return pb.DeleteStandingSearchResponse()

    def ListMatches(
        self, request: pb.ListMatchesRequest, context: grpc.ServicerContext
    ) -> pb.ListMatchesResponse:
        """Return matches, newest first."""
        if request.page_size > MOST_LISTED:
            message = f"page_size {request.page_size} is above {MOST_LISTED}."
            raise InvalidInput(message, field="page_size")
        token = request.page_token
        if token and not (token.isascii() and token.isdecimal() and len(token) < 19):
            message = f"page_token {quoted(token)} is none; send a next_page_token"
            raise InvalidInput(message, "PAGE_TOKEN_INVALID", "page_token")
        size = request.page_size or LISTED
        store, before = self._store(request.collection), int(token) if token else 2**62
        found = store.before(before, request.standing_search_id, size + 1)
        following = str(found[size - 1].number) if len(found) > size else ""
        return pb.ListMatchesResponse(matches=found[:size], next_page_token=following)

    async def WatchMatches(
        self, request: pb.WatchMatchesRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[pb.WatchMatchesResponse]:
        """Yield matches as they are found, until the caller leaves."""
        store, name = self._store(request.collection), request.standing_search_id
        if request.after >= 2**63:
            raise InvalidInput(f"after is {request.after}, which no match has", field="after")
        seen = request.after if request.HasField("after") else store.last
        looked = -1
        while True:
            if looked != store.last:
                looked = store.last
                while found := await asyncio.to_thread(store.after, seen, name, LISTED):
                    for match in found:
                        yield pb.WatchMatchesResponse(match=match)
                    seen = found[-1].number
            await asyncio.sleep(LOOK)

    def metrics(self) -> Iterator[Metric]:
        """Yield what is read of the stores at a scrape."""
        found = {name: counting.totals(store) for name, store in self._stores.items()}
        yield metrics.STANDING.samples(((name,), one.searches) for name, one in found.items())
        yield metrics.STANDING_LAG.samples(((name,), one.lag) for name, one in found.items())
        yield metrics.WEBHOOKS_WAITING.samples(((name,), one.deliveries) for name, one in found.items())

    def _store(self, name: str) -> Store:
        store = self._stores.get(name) if name else next(iter(self._stores.values()))
        if store is None:
            there = ", ".join(map(quoted, self._stores))
            message = f"there is no collection {quoted(name)}; there are: {there}."
            raise NotFound(message, "COLLECTION_NOT_FOUND")
        return store

    def _checked(self, request: pb.CreateStandingSearchRequest, store: Store) -> pb.StandingSearch:
        """Return what a caller asks for, without what the server sets; InvalidInput names a wrong field."""
        given = request.standing_search
        asked = pb.StandingSearch(
            id=given.id or uuid.uuid4().hex[:12],
            collection=store.name,
            name=given.name,
            text=given.text.strip(),
            webhook=given.webhook,
        )
        asked.create_time.CopyFrom(now())
        if given.HasField("filter"):
            _check_filter(given.filter)
            asked.filter.CopyFrom(given.filter)
        _check(asked)
        sure = given.WhichOneof("sure")
        # Written so that NaN fails.
        if sure is None or not 0 < getattr(given, sure) <= 1:
            field = sure or "precision"
            message = f"{field} is {getattr(given, field):g}; give one above 0, up to 1"
            raise InvalidInput(message, field=f"standing_search.{field}")
        setattr(asked, sure, getattr(given, sure))
        if asked.webhook:
            self._hosts.check(asked.webhook)
        if len(request.webhook_secret.encode()) > LONGEST_SECRET:
            message = f"webhook_secret has more than {LONGEST_SECRET} bytes"
            raise InvalidInput(message, field="webhook_secret")
        return asked

    def _described(self, store: Store, searches: list[Search]) -> list[pb.StandingSearch]:
        """Return searches with how they do."""
        version, found = versions.newest(store.collection), []
        for search, numbers in zip(searches, counting.of(store, searches), strict=True):
            told = pb.StandingSearch()
            told.CopyFrom(search.asked)
            told.videos_waiting, told.matches = numbers.waiting, numbers.matches
            told.deliveries_waiting, told.deliveries_failed = numbers.deliveries, numbers.failed
            told.fault = self._judging.fault(store, search) or self._hooks.fault(store, search)
            try:
                if version:
                    told.threshold = self._judging.calibration(store, version).threshold(search.asked)
            except SprError as error:
                told.fault = str(error)
            found.append(told)
        return found


def _check_filter(given: Filter) -> None:
    try:
        filter_from_pb(given)
    except InvalidInput as error:
        raise InvalidInput(str(error), error.reason, f"standing_search.{error.field}") from None
    if given.video_ids:
        message = "filter.video_ids names videos, and a standing search is for those that come"
        raise InvalidInput(f"{message}; leave it empty", field="standing_search.filter.video_ids")


def _check(asked: pb.StandingSearch) -> None:
    if not (
        asked.id.isascii() and asked.id.isprintable() and len(asked.id) <= LONGEST_ID and "/" not in asked.id
    ):
        message = f"id {quoted(asked.id)} is not 1 to {LONGEST_ID} printable ASCII characters without a slash"
        raise InvalidInput(message, field="standing_search.id")
    if not asked.text:
        message = "the text is empty; describe what is to be found"
        raise InvalidInput(message, "QUERY_EMPTY", "standing_search.text")
    for field, longest in (("text", LONGEST_TEXT), ("name", LONGEST_NAME)):
        if len(getattr(asked, field)) > longest:
            message = f"{field} has {len(getattr(asked, field))} characters; send at most {longest}"
            raise InvalidInput(message, field=f"standing_search.{field}")
