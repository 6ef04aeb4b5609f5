"""The service behind the page, as any client reaches it: searches, explanations, collections.

Messages of spr.v1 go out and come back; access control, where there is some, is the client's to present.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import grpc.aio

from spr.v1 import search_service_pb2 as pb
from spr.v1.admin_service_pb2 import ListCollectionsRequest
from spr.v1.admin_service_pb2_grpc import AdminServiceStub
from spr.v1.search_service_pb2_grpc import SearchServiceStub
from spr.v1.standing_service_pb2 import ListMatchesRequest, ListStandingSearchesRequest, Match
from spr.v1.standing_service_pb2_grpc import StandingServiceStub
from spr_client import SearchError, Unavailable
from spr_client.access import Access, Opened, Tls
from spr_client.channels import OPTIONS, checked, target
from spr_client.errors import from_call
from spr_client.retrying import Retries

if TYPE_CHECKING:
    from spr.v1.search_service_pb2_grpc import SearchServiceAsyncStub
    from spr.v1.standing_service_pb2_grpc import StandingServiceAsyncStub

TIMEOUT = 10.0  # seconds of a search
PATIENCE = 3.0  # seconds for the list of collections
MATCHES = 20  # of standing searches, the newest


class Upstream:
    """Coordinators, and the admin port of one. Belongs to one event loop."""

    def __init__(
        self, addresses: Sequence[str], admin: str, tls: Tls | None = None, token: Path | str = ""
    ) -> None:
        self._address = checked(addresses)
        self._search_access = Access(self._address, tls, token)
        self._own = Opened(self._search_access, self._opened)
        self._retries = Retries()
        self._admin_address, self._access = admin, Access(admin, tls, token)
        self._admin = Opened(self._access, lambda: self._access.aio_channel(admin, OPTIONS))

    async def search(self, request: pb.SearchRequest) -> AsyncIterator[pb.ProgressiveSearchResponse]:
        """Yield the coarse answer, then the refined one; what is refused for now is asked again."""
        attempts, begun = self._retries.attempts(TIMEOUT), False
        while True:
            try:
                with _failures(self._address):
                    call = self._stub().ProgressiveSearch(
                        request, timeout=attempts.left(), metadata=self._search_access.metadata
                    )
                    async for message in call:
                        begun = True
                        yield attempts.answered(message)
                return
            except SearchError as error:
                if begun:
                    raise
                await asyncio.sleep(attempts.delay(error))

    async def page(self, request: pb.SearchRequest) -> pb.SearchResponse:
        """Return one page of an answer."""
        with _failures(self._address):
            return await self._stub().Search(request, timeout=TIMEOUT, metadata=self._search_access.metadata)

    async def explain(self, request: pb.SearchRequest, video: str) -> pb.ExplainResponse:
        """Return why moments of a video were found."""
        asked = pb.ExplainRequest(search=request, video_id=video)
        with _failures(self._address):
            return await self._stub().Explain(asked, timeout=TIMEOUT, metadata=self._search_access.metadata)

    async def collections(self) -> Sequence[dict[str, object]]:
        """Return what is served: names and how much each holds; SearchError where nobody says.

        PermissionDenied where the token may search alone.
        """
        try:
            with _failures(self._admin_address):
                answer = await AdminServiceStub(self._admin.now).ListCollections(
                    ListCollectionsRequest(), timeout=PATIENCE, metadata=self._access.metadata
                )
        except Unavailable as error:
            raise Unavailable(f"{error}; is `spr serve` running?", error.reason) from None
        return [
            {"name": one.name, "videos": one.videos, "segments": one.segments, "version": one.generation}
            for one in answer.collections
        ]

    async def matches(self, collection: str) -> list[tuple[Match, str]]:
        """Return the newest matches of standing searches, each with their text; [] without a library."""
        newest = ListMatchesRequest(collection=collection, page_size=MATCHES)
        searches = ListStandingSearchesRequest(collection=collection)
        shown = self._access.metadata
        standing: StandingServiceAsyncStub = StandingServiceStub(self._admin.now)
        try:
            found = await standing.ListMatches(newest, timeout=PATIENCE, metadata=shown)
            if not found.matches:
                return []
            listed = await standing.ListStandingSearches(searches, timeout=PATIENCE, metadata=shown)
        except grpc.aio.AioRpcError as failure:
            error = from_call(failure, self._admin_address)
            if error.reason == "NO_LIBRARY":
                return []
            raise error from failure
        texts = {one.id: one.text for one in listed.standing_searches}
        return [(one, texts.get(one.standing_search_id, one.name)) for one in found.matches]

    async def close(self) -> None:
        """Close all channels."""
        for channel in (self._own.taken(), self._admin.taken()):
            if channel is not None:
                await channel.close()

    def _stub(self) -> "SearchServiceAsyncStub":
        return SearchServiceStub(self._own.now)

    def _opened(self) -> grpc.aio.Channel:
        return self._search_access.aio_channel(target(self._address), OPTIONS)


@contextmanager
def _failures(address: str) -> Iterator[None]:
    try:
        yield
    except grpc.RpcError as error:
        raise from_call(error, address) from None
