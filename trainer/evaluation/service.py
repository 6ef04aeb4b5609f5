"""Answers of a running service: every judged query is asked once.

One search tells both stages: each refined moment names the coarse proposal it came from and that proposal's
rank, so the coarse list is the refined one, sorted back.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Any

import grpc
import numpy as np

from engine import faults, wire
from engine.errors import SprError, Unavailable
from spr.v1 import search_service_pb2, search_service_pb2_grpc, types_pb2
from trainer.annotations import JudgedQuery
from trainer.evaluation.runfile import COARSE, REFINED, Predicted

PAGE = 100
CONNECT_TIMEOUT = 10.0
VERSIONS = ("generation", "embedding_model", "ranker_model")


@dataclass(frozen=True, slots=True)
class Asked:
    """One answer: both stages best first, whether it was less than whole, who gave it, seconds it took."""

    coarse: list[Predicted]
    refined: list[Predicted]
    degraded: bool
    versions: dict[str, str]
    seconds: float


@dataclass(frozen=True, slots=True)
class Collected:
    """The answers to all queries by query id, and the reasons of those that failed. seconds: wall time."""

    answers: dict[int, Asked]
    failures: dict[int, str]
    seconds: float

    @property
    def run(self) -> dict[str, dict[int, list[Predicted]]]:
        """The answers as a run; without a refined stage where no ranker spoke."""
        stages = {COARSE: {query_id: asked.coarse for query_id, asked in self.answers.items()}}
        if any(asked.versions["ranker_model"] for asked in self.answers.values()):
            stages[REFINED] = {query_id: asked.refined for query_id, asked in self.answers.items()}
        return stages

    def facts(self) -> dict[str, Any]:
        """Return what a report says of the service: failures, versions, times in seconds."""
        laps = [asked.seconds for asked in self.answers.values()]
        versions: dict[str, set[str]] = {}
        for asked in self.answers.values():
            for name, version in asked.versions.items():
                versions.setdefault(name, set()).add(version)
        return {
            "failed": {str(query_id): message for query_id, message in self.failures.items()},
            "degraded": sum(asked.degraded for asked in self.answers.values()),
            "versions": {name: ", ".join(sorted(found - {""})) for name, found in versions.items()},
            "seconds": round(self.seconds, 3),
            "latency": {f"p{q}": round(float(np.percentile(laps, q)), 4) for q in (50, 95)},
        }


def collect(
    address: str,
    queries: Sequence[JudgedQuery],
    *,
    in_flight: int = 4,
    timeout: float = 30.0,
    on_done: Callable[[int], None] | None = None,
) -> Collected:
    """Ask the service at HOST:PORT every query, a few at once; a query may take `timeout` seconds.

    on_done is called with the number of finished queries. A failed query is noted and the rest go on;
    Unavailable where nothing listens, or where every query failed.
    """
    began = time.monotonic()
    answers: dict[int, Asked] = {}
    failures: dict[int, str] = {}
    with _channel(address) as channel, ThreadPoolExecutor(in_flight) as pool:
        stub = search_service_pb2_grpc.SearchServiceStub(channel)
        waiting = {pool.submit(ask, stub, query.query, timeout): query.query_id for query in queries}
        for done, future in enumerate(as_completed(waiting), start=1):
            try:
                answers[waiting[future]] = future.result()
            except SprError as error:
                failures[waiting[future]] = str(error)
            if on_done:
                on_done(done)
    if failures and not answers:
        raise Unavailable(f"Every query failed at {address}; the first: {next(iter(failures.values()))}")
    return Collected(answers, dict(sorted(failures.items())), time.monotonic() - began)


def ask(stub: search_service_pb2_grpc.SearchServiceStub, text: str, timeout: float) -> Asked:
    """Return the whole answer to one sentence, all pages."""
    began = time.monotonic()
    pages = list(_pages(stub, text, began + timeout))
    moments = [moment for page in pages for moment in page.moments]
    by_proposal = sorted(moments, key=lambda moment: moment.provenance.proposal_rank)
    versions = pages[0].versions
    return Asked(
        coarse=[_predicted(moment, moment.provenance.proposal_span, None) for moment in by_proposal],
        refined=[_predicted(moment, moment.span, moment.score) for moment in moments],
        degraded=bool(pages[0].coverage.degraded),
        versions={
            name: getattr(versions, name) for name in ("generation", "embedding_model", "ranker_model")
        },
        seconds=time.monotonic() - began,
    )


def _pages(
    stub: search_service_pb2_grpc.SearchServiceStub, text: str, deadline: float
) -> Iterator[search_service_pb2.SearchResponse]:
    request = search_service_pb2.SearchRequest(text=text, page_size=PAGE)
    while True:
        try:
            page = stub.Search(request, timeout=max(0.0, deadline - time.monotonic()))
        except grpc.RpcError as error:
            raise faults.error_of(error, "search") from error
        yield page
        if not page.next_page_token:
            return
        request.page_token = page.next_page_token


def _predicted(moment: types_pb2.Moment, span: types_pb2.TimeSpan, score: float | None) -> Predicted:
    start, end = wire.duration_from_pb(span.start_offset), wire.duration_from_pb(span.end_offset)
    return Predicted(moment.video_id, start, end, score)


def _channel(address: str) -> grpc.Channel:
    channel = grpc.insecure_channel(address)
    try:
        grpc.channel_ready_future(channel).result(timeout=CONNECT_TIMEOUT)
    except grpc.FutureTimeoutError:
        channel.close()
        raise Unavailable(f"Nothing answers at {address}; start it with `spr serve TOPOLOGY.toml`.") from None
    return channel
