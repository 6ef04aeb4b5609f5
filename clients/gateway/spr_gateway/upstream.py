"""The service behind the page, as any client reaches it: searches, explanations, collections.

What is sent to it is what spr_client sends; access control, where there is some, is the client's to present.
"""

import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import grpc.aio

from spr.v1.admin_service_pb2 import ListCollectionsRequest
from spr.v1.admin_service_pb2_grpc import AdminServiceStub
from spr.v1.standing_service_pb2 import ListMatchesRequest, ListStandingSearchesRequest, Match
from spr.v1.standing_service_pb2_grpc import StandingServiceStub
from spr_client import AsyncClient, Explanation, Options, Part, SearchError, SearchResult
from spr_client.access import Access, Tls
from spr_client.channels import OPTIONS
from spr_client.errors import from_call

if TYPE_CHECKING:
    from spr.v1.standing_service_pb2_grpc import StandingServiceAsyncStub

TIMEOUT = 10.0  # seconds of a search
PATIENCE = 3.0  # seconds for the list of collections
MOST_CLIENTS = 64
MATCHES = 20  # of standing searches, the newest
# A list of pictures says each thing once: of moments that overlap the best is shown.
DISTINCT = Options(nms_iou=0.4)


class Upstream:
    """Coordinators, and the admin port of one. Belongs to one event loop."""

    def __init__(
        self, addresses: Sequence[str], admin: str, tls: Tls | None = None, token: Path | str = ""
    ) -> None:
        self._addresses, self._tls, self._token = addresses, tls, token
        self._clients: dict[str, AsyncClient] = {}
        self._access = Access(admin, tls, token)
        self._channel = self._access.aio_channel(admin, OPTIONS)
        self._admin = AdminServiceStub(self._channel)
        self._standing: StandingServiceAsyncStub = StandingServiceStub(self._channel)

    def search(self, collection: str, query: str | Part, size: int) -> AsyncIterator[SearchResult]:
        """Yield the coarse answer, then the refined one."""
        return self._client(collection).search_progressive(
            query, page_size=size, timeout=TIMEOUT, options=DISTINCT
        )

    async def page(self, collection: str, token: str, size: int) -> SearchResult:
        """Return a further page of an answer."""
        return await self._client(collection).search("", page_size=size, page_token=token, timeout=TIMEOUT)

    async def explain(self, collection: str, query: str | Part, video: str) -> Explanation:
        """Return why moments of a video were found."""
        return await self._client(collection).explain(query, video, timeout=TIMEOUT, options=DISTINCT)

    async def collections(self) -> Sequence[dict[str, object]]:
        """Return what is served: names and how much each holds; SearchError where nobody says."""
        try:
            answer = await self._admin.ListCollections(
                ListCollectionsRequest(), timeout=PATIENCE, metadata=self._access.metadata
            )
        except grpc.aio.AioRpcError as failure:
            raise SearchError(
                "the service does not answer; is `spr serve` running?", "UNAVAILABLE"
            ) from failure
        return [
            {"name": one.name, "videos": one.videos, "segments": one.segments, "version": one.generation}
            for one in answer.collections
        ]

    async def matches(self, collection: str) -> list[tuple[Match, str]]:
        """Return the newest matches of standing searches, each with their text; [] without a library."""
        newest = ListMatchesRequest(collection=collection, page_size=MATCHES)
        searches = ListStandingSearchesRequest(collection=collection)
        shown = self._access.metadata
        try:
            found = await self._standing.ListMatches(newest, timeout=PATIENCE, metadata=shown)
            if not found.matches:
                return []
            listed = await self._standing.ListStandingSearches(searches, timeout=PATIENCE, metadata=shown)
        except grpc.aio.AioRpcError as failure:
            error = from_call(failure)
            if error.reason == "NO_LIBRARY":
                return []
            raise error from failure
        texts = {one.id: one.text for one in listed.standing_searches}
        return [(one, texts.get(one.standing_search_id, one.name)) for one in found.matches]

    async def close(self) -> None:
        """Close all channels."""
        for client in self._clients.values():
            with contextlib.suppress(SearchError):
                await client.close()
        await self._channel.close()

    def _client(self, collection: str) -> AsyncClient:
        """Return the client of a collection; those of names that nobody serves do not pile up."""
        if collection in self._clients:
            return self._clients[collection]
        client = AsyncClient(self._addresses, collection=collection, tls=self._tls, token=self._token)
        if len(self._clients) < MOST_CLIENTS:
            self._clients[collection] = client
        return client
