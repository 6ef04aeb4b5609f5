"""Judges a video by a search of the service: features, ranking and confidence are those of any search."""

from collections.abc import Iterator
from typing import Protocol

import grpc

from engine.config import LibraryConfig, Topology
from engine.errors import InvalidInput
from spr.v1.search_service_pb2 import SearchRequest, SearchResponse
from spr.v1.search_service_pb2_grpc import SearchServiceStub
from spr.v1.standing_service_pb2 import Match
from spr_client import SearchError, Tls, Unavailable
from spr_client.access import Access, Opened
from spr_client.channels import OPTIONS, target
from spr_client.errors import from_call
from trainer.library.standing.rows import Search, now

PATIENCE = 10.0  # seconds of a search
MOST = 100  # matches of a video, the surest
# Of moments that overlap more the better one matches.
OVERLAP = 0.5


class Asks(Protocol):
    """Finds what of a video a standing search matches."""

    def matches(self, search: Search, video: str, version: str, threshold: float) -> list[Match]:
        """Return the matches in a video of a version; SearchError where nobody says now."""


class Asking:
    """Asks a topology's coordinators, whichever answers."""

    def __init__(self, topology: Topology, library: LibraryConfig) -> None:
        access = topology.access
        self._address = ",".join(one.front for one in topology.coordinators)
        tls = Tls(access.authority, access.certificate, access.key) if access else None
        token = topology.path.parent / library.token if access else ""
        try:
            self._access = Access(self._address, tls, token)
        except SearchError as error:
            remedy = "write the file of a token that may search as token under [library]"
            raise InvalidInput(f"{error}; {remedy}") from None
        self._own = Opened(self._access, lambda: self._access.channel(target(self._address), OPTIONS))

    def matches(self, search: Search, video: str, version: str, threshold: float) -> list[Match]:
        """Return the matches in a video of a version; SearchError where nobody says now.

        A video is judged alone, so whether it matches does not depend on what was added with it.
        """
        try:
            stub = self._stub()
            response = stub.Search(
                request_of(search, video, version), timeout=PATIENCE, metadata=self._access.metadata
            )
        except grpc.RpcError as error:
            raise from_call(error, self._address) from None
        if response.coverage.degraded:
            raise Unavailable("not every worker answers; `spr admin status` says which", "DEGRADED")
        return list(_matches(search, response, threshold))

    def close(self) -> None:
        """Close the channel."""
        if (channel := self._own.taken()) is not None:
            channel.close()

    def _stub(self) -> SearchServiceStub:
        return SearchServiceStub(self._own.now)


def request_of(search: Search, video: str, version: str) -> SearchRequest:
    """Return the search that judges a video."""
    asked = search.asked
    request = SearchRequest(
        collection=asked.collection, text=asked.text, version=version, filter=asked.filter, page_size=MOST
    )
    request.filter.video_ids.append(video)
    request.params.nms_iou = OVERLAP
    request.params.min_coverage = 1.0
    return request


def _matches(search: Search, response: SearchResponse, threshold: float) -> Iterator[Match]:
    for moment in response.moments:
        if moment.HasField("confidence") and moment.confidence >= threshold:
            yield Match(
                standing_search_id=search.asked.id,
                name=search.asked.name or search.asked.text,
                video_id=moment.video_id,
                span=moment.span,
                confidence=moment.confidence,
                uri=moment.uri,
                version=response.versions.generation,
                ranker_model=response.versions.ranker_model,
                create_time=now(),
            )
