"""The operator's service of standing searches: the library process keeps them, this port leads there."""

from collections.abc import AsyncIterator
from typing import TypeAlias

import grpc.aio

from engine import library as libraries
from engine.library import Library
from engine.served import Collections
from spr.v1 import standing_service_pb2 as pb
from spr.v1 import standing_service_pb2_grpc

Context: TypeAlias = "grpc.aio.ServicerContext[object, object]"
# Of WatchMatches: they are open for long, so they take no place of other calls.
STREAMS = 32


class StandingServicer(standing_service_pb2_grpc.StandingServiceServicer):
    """spr.v1.StandingService: hands calls over, with the collection's name."""

    def __init__(self, collections: Collections, library: Library | None) -> None:
        self._collections, self._library = collections, library

    async def CreateStandingSearch(
        self, request: pb.CreateStandingSearchRequest, context: Context
    ) -> pb.CreateStandingSearchResponse:
        """Note a search, durably."""
        request.standing_search.collection = self._named(request.standing_search.collection)
        return await self._there.standing(lambda stub: stub.CreateStandingSearch, request)

    async def ListStandingSearches(
        self, request: pb.ListStandingSearchesRequest, context: Context
    ) -> pb.ListStandingSearchesResponse:
        """Return all, oldest first."""
        request.collection = self._named(request.collection)
        return await self._there.standing(lambda stub: stub.ListStandingSearches, request)

    async def DeleteStandingSearch(
        self, request: pb.DeleteStandingSearchRequest, context: Context
    ) -> pb.DeleteStandingSearchResponse:
        """Forget one."""
        request.collection = self._named(request.collection)
        return await self._there.standing(lambda stub: stub.DeleteStandingSearch, request)

    async def ListMatches(self, request: pb.ListMatchesRequest, context: Context) -> pb.ListMatchesResponse:
        """Return matches, newest first."""
        request.collection = self._named(request.collection)
        return await self._there.standing(lambda stub: stub.ListMatches, request)

    async def WatchMatches(
        self, request: pb.WatchMatchesRequest, context: Context
    ) -> AsyncIterator[pb.WatchMatchesResponse]:
        """Yield matches as they are found; Unavailable when the library ends."""
        request.collection = self._named(request.collection)
        async for found in self._there.matches(request):
            yield found

    def _named(self, collection: str) -> str:
        return self._collections.named(collection).name

    @property
    def _there(self) -> Library:
        if self._library is None:
            raise libraries.missing()
        return self._library
