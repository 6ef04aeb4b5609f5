"""Answers of a running service: every judged query is asked once.

One search tells both stages: each refined moment names the coarse proposal it came from and that proposal's
rank, so the coarse list is the refined one, sorted back. A proposal whose moments were all left out, as near
duplicates, is not seen: measure ceilings on a collection.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.errors import InvalidInput, Unavailable
from engine.proposals import ProposalRule
from spr_client import Client, Options, SearchError
from trainer.collection.annotations import JudgedQuery
from trainer.evaluation.runfile import COARSE, REFINED, Predicted

PAGE = 100
# The client's reasons for an address where no search can be asked.
_NOT_THERE = ("UNAVAILABLE", "WRONG_PORT")
DEFAULTS = Options()


@dataclass(frozen=True, slots=True)
class ServiceAnswer:
    """One answer: both stages best first, whether it was less than whole, who gave it, seconds it took."""

    coarse: list[Predicted]
    refined: list[Predicted]
    degraded: bool
    versions: dict[str, str]
    seconds: float


@dataclass(frozen=True, slots=True)
class Collected:
    """The answers to all queries by query id, and the reasons of those that failed. seconds: wall time."""

    answers: dict[int, ServiceAnswer]
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
    segment_top_k: int | None = None,
    rule: ProposalRule | None = None,
    in_flight: int = 4,
    timeout: float | None = 30.0,
    on_done: Callable[[int], None] | None = None,
    collection: str = "",
    version: str = "",
    channels: Sequence[str] = (),
) -> Collected:
    """Ask the service at HOST:PORT every query, a few at once; a query may take `timeout` seconds.

    segment_top_k: segments retrieved a query. rule: how segments become proposals. None for the server's.
    collection, version: by name, and by id or number; "" for the first, the active one. channels: () for all.
    on_done is called with the number of finished queries. A failed query is noted and the rest go on;
    Unavailable where no service listens, or where every query failed; InvalidInput for what is no address.
    """
    began = time.monotonic()
    answers: dict[int, ServiceAnswer] = {}
    failures: dict[int, str] = {}
    options = _options(segment_top_k, rule, channels)
    with _client(address, collection, version) as client, ThreadPoolExecutor(in_flight) as pool:
        if queries:
            _check_reachable(client, queries[0].query, timeout)
        waiting = {
            pool.submit(ask, client, query.query, timeout, options): query.query_id for query in queries
        }
        for done, future in enumerate(as_completed(waiting), start=1):
            try:
                answers[waiting[future]] = future.result()
            except SearchError as error:
                failures[waiting[future]] = str(error)
            if on_done:
                on_done(done)
    if failures and not answers:
        raise Unavailable(f"Every query failed at {address}; the first: {next(iter(failures.values()))}")
    return Collected(answers, dict(sorted(failures.items())), time.monotonic() - began)


def _options(segment_top_k: int | None, rule: ProposalRule | None, channels: Sequence[str] = ()) -> Options:
    kind, size = (rule.kind, rule.size) if rule else ("", 0.0)
    return Options(
        segment_top_k=segment_top_k,
        adjacent=kind == "adjacent" or None,
        constant_gap=int(size) if kind == "constant" else None,
        adaptive_gap=size if kind == "adaptive" else None,
        peaks=int(size) if kind == "peaks" else None,
        channels=channels,
    )


def ask(client: Client, text: str, timeout: float | None, options: Options = DEFAULTS) -> ServiceAnswer:
    """Return the whole answer to one sentence, all pages; `timeout` seconds are for the first of them."""
    began = time.monotonic()
    pages = list(client.pages(text, page_size=PAGE, timeout=timeout, options=options))
    moments = [moment for page in pages for moment in page.moments]
    by_proposal = {moment.proposal_rank: moment for moment in moments}
    first = pages[0]
    return ServiceAnswer(
        coarse=[Predicted(m.video, m.proposal_start, m.proposal_end) for _, m in sorted(by_proposal.items())],
        refined=[Predicted(m.video, m.start, m.end, m.score, m.confidence) for m in moments],
        degraded=bool(first.coverage.degraded),
        versions={
            "version": first.generation,
            "embedding_model": first.embedding_model,
            "ranker_model": first.ranker,
        },
        seconds=time.monotonic() - began,
    )


def _client(address: str, collection: str, version: str) -> Client:
    try:
        return Client(address, collection=collection, version=version)
    except SearchError as error:
        raise InvalidInput(str(error)) from None


def _check_reachable(client: Client, text: str, timeout: float | None) -> None:
    """Raise Unavailable where nothing answers, or no coordinator; other failures are the query's own."""
    try:
        client.search(text, page_size=1, timeout=timeout)
    except SearchError as error:
        if error.reason not in _NOT_THERE:
            return
        raise Unavailable(
            f"{error}; start a service with `spr serve TOPOLOGY.toml`, or say where it answers searches "
            "with --address (`spr admin activate`: --searches)."
        ) from None
