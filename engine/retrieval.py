"""Scatter-gather: a query to all shards in parallel, their hits merged, lost shards counted as coverage."""

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass

import grpc
import grpc.aio
import numpy as np

from engine import faults, logs, merge, sought, tracing, wire, wire_filter, wire_texts
from engine.answers import Coverage, Degraded
from engine.config import CoordinatorConfig
from engine.corpus import Corpus
from engine.deadline import Deadline
from engine.errors import DeadlineExceeded, InvalidInput, Mismatch, Overloaded, SprError, Unavailable, quoted
from engine.filters import Allowed
from engine.fleet import Fleet, IndexStubs
from engine.hedging import Hedging
from engine.queries import SearchOptions
from engine.replicas import SILENT, Replicas
from engine.sought import Retrieved
from engine.texts import TextHits
from engine.types import Doubles, EncodedQuery, Hits
from spr.internal.v1 import index_shard_service_pb2 as shard_pb
from spr.internal.v1.index_shard_service_pb2 import SearchSegmentsRequest, SearchSegmentsResponse

_log = logging.getLogger("spr.retrieval")


@dataclass(frozen=True, slots=True)
class ShardAnswer:
    """One shard's hits, or why it is lost. texts: its lists of texts."""

    shard: str
    seconds: float
    hits: Hits | None = None
    videos: int = 0
    lost: Degraded | None = None
    error: SprError | None = None
    texts: Sequence[TextHits] = ()


class Retriever:
    """The shards of one version. hedging: of the collection's searches."""

    def __init__(self, corpus: Corpus, fleet: Fleet, config: CoordinatorConfig, hedging: Hedging) -> None:
        self._version, self._catalogue = corpus.version, corpus.catalogue
        self._config = config
        self._shards = [fleet.shards[shard.name] for shard in corpus.version.shards]
        self._hedging = hedging
        self._entries = {entry.name: (number, entry) for number, entry in enumerate(corpus.version.shards)}
        self._faults = {shard.name: logs.Fault(_log, f"shard {shard.name}") for shard in self._shards}

    async def retrieve(
        self, query: EncodedQuery, options: SearchOptions, deadline: Deadline, allowed: Allowed | None = None
    ) -> Retrieved:
        """Return the best segments for a query, of those that are allowed, None for all.

        A late or dead shard lowers the coverage; Unavailable when none answers, or below `min_coverage`.
        Overloaded when one refuses the search for now, unless a `min_coverage` says how much is enough.
        """
        # Half of the time budget, so a shard that uses it up leaves the ranker the other half.
        timeout = min(self._config.shard_timeout, deadline.left() / 2)
        short = timeout < self._config.shard_timeout
        request = sought.request(query, options, self._version, logs.request_id.get())
        answers = await asyncio.gather(
            *(self._ask(shard, request, timeout, allowed) for shard in self._shards)
        )
        coverage = self._coverage(answers)
        _check_coverage(coverage, options.min_coverage, answers, short)
        seen = [answer.hits for answer in answers if answer.hits]
        texts = [one for answer in answers for one in answer.texts]
        hits, sources = sought.fused(self._version, query.text, seen, texts, options.segment_top_k)
        timings = tuple((answer.shard, answer.seconds) for answer in answers)
        return Retrieved(hits, coverage, timings, sources)

    async def _ask(
        self,
        shard: Replicas[IndexStubs],
        request: SearchSegmentsRequest,
        timeout: float,
        allowed: Allowed | None,
    ) -> ShardAnswer:
        began = time.monotonic()
        ends = began + timeout
        addressed = SearchSegmentsRequest()
        addressed.CopyFrom(request)
        addressed.shard = shard.name
        told = None if allowed is None else self._told(allowed, shard.name)
        if not sought.anything(request) or (allowed is not None and told is None):
            # Nothing can be found there.
            return ShardAnswer(shard.name, 0.0, merge.empty(), self._entries[shard.name][1].videos)
        if told is not None:
            addressed.allowed.CopyFrom(told)

        async def attempt(stubs: IndexStubs) -> tuple[SearchSegmentsResponse, Hits, list[TextHits]]:
            left = max(0.0, ends - time.monotonic())
            response = await stubs.search(addressed, left)
            return response, *self._found(response, addressed, allowed)

        try:
            hedge_after = self._config.hedge_after
            with tracing.span("shard", shard=shard.name):
                response, hits, texts = await shard.call(
                    attempt, self._hedging, hedge_after, self._version.id
                )
                tracing.note(hits=len(hits), videos=response.videos_searched)
        except (grpc.aio.AioRpcError, SprError) as failure:
            seconds = time.monotonic() - began
            error = failure if isinstance(failure, SprError) else faults.error_of(failure, shard.name)
            lost = self._lost(failure, error, shard.name)
            return ShardAnswer(shard.name, seconds, lost=lost, error=error)
        self._faults[shard.name].over()
        seconds = time.monotonic() - began
        return ShardAnswer(shard.name, seconds, hits, response.videos_searched, texts=texts)

    def _told(self, allowed: Allowed, shard: str) -> shard_pb.Allowed | None:
        """Return what a shard is told of a filter, None where nothing of it is allowed."""
        number = self._entries[shard][0]
        if number not in allowed.told:
            ordinals = np.flatnonzero(self._catalogue.shards == number).astype(np.int32)
            allowed.told[number] = wire_filter.allowed_to_pb(allowed, ordinals)
        return allowed.told[number]

    def _found(
        self, response: SearchSegmentsResponse, asked: SearchSegmentsRequest, allowed: Allowed | None
    ) -> tuple[Hits, list[TextHits]]:
        """Read a worker's answer; Mismatch unless it is this shard's, of this version, to what is asked."""
        version, catalogue, shard = self._version, self._catalogue, asked.shard
        if response.generation != version.id:
            message = f"answered from version {quoted(response.generation)}"
            raise Mismatch(message, "GENERATION_MISMATCH")
        if response.shard != shard:
            raise Mismatch(f"{shard} answered as {quoted(response.shard)}", "SHARD_MISMATCH")
        number, entry = self._entries[shard]
        if response.videos_searched != entry.videos:
            message = f"{shard} searched {response.videos_searched} videos, the version has {entry.videos}"
            raise Mismatch(message, "SHARD_MISMATCH")
        try:
            parts = wire.hits_from_pb(response, len(catalogue))
            texts = wire_texts.hits_from_pb(response.texts, asked.texts.channels, len(catalogue))
        except InvalidInput as error:
            raise Mismatch(f"answered what cannot be read: {error}") from None
        if len(parts) != asked.HasField("queries"):
            wanted = "one" if asked.HasField("queries") else "none"
            raise Mismatch(f"answered {len(parts)} queries instead of {wanted}")
        seen = parts[0] if parts else merge.empty()
        for hits in (seen, *(one.hits for one in texts)):
            held = catalogue.shards[hits.videos] == number
            if not (held & (hits.segments < catalogue.segments[hits.videos])).all():
                raise Mismatch(f"{shard} answered segments that it does not hold", "SHARD_MISMATCH")
            if allowed is not None:
                _check_filtered(response, hits, allowed, catalogue.durations, version.segment_length)
        return seen, texts

    def _lost(self, failure: grpc.aio.AioRpcError | SprError, error: SprError, shard: str) -> Degraded:
        """Classify a shard's failure; raise it when the query itself is invalid, which every shard refuses.

        error: the failure, as a caller may see it.
        """
        if isinstance(error, InvalidInput):
            raise error from None
        told = failure if isinstance(failure, SprError) else faults.told_by(failure)
        self._faults[shard].happened(told, error.reason)
        late = error.status is grpc.StatusCode.DEADLINE_EXCEEDED
        return Degraded.SHARD_TIMEOUT if late else Degraded.SHARD_UNAVAILABLE

    def _coverage(self, answers: Sequence[ShardAnswer]) -> Coverage:
        reasons = {answer.lost for answer in answers}
        return Coverage(
            shards_total=len(answers),
            shards_answered=sum(answer.lost is None for answer in answers),
            videos_total=self._version.videos,
            videos_searched=sum(answer.videos for answer in answers),
            degraded=tuple(reason for reason in Degraded if reason in reasons),
            unreachable=tuple(answer.shard for answer in answers if answer.lost),
        )


def _check_filtered(
    response: SearchSegmentsResponse, hits: Hits, allowed: Allowed, durations: Doubles, length: float
) -> None:
    """Refuse (Mismatch) an answer that has not heeded the filter."""
    if not response.filtered:
        raise Mismatch("the worker knows no filters; restart it from this release", "SHARD_MISMATCH")
    if not allowed.holds(hits, durations, length):
        raise Mismatch("answered segments that the filter leaves out", "SHARD_MISMATCH")


def _check_coverage(coverage: Coverage, least: float, answers: Sequence[ShardAnswer], short: bool) -> None:
    """Raise when coverage is below `least`. short: whether the caller's deadline cut the time limit.

    A shard that is overloaded answers when asked again: without a `least` the search is refused until then.
    """
    overloaded = [answer for answer in answers if isinstance(answer.error, Overloaded)]
    if overloaded and not least:
        names = ", ".join(answer.shard for answer in overloaded)
        raise Overloaded(f"{names} refused the search, as it has enough to do; try again")
    if coverage.shards_answered and coverage.ratio >= least:
        return
    errors = [answer.error for answer in answers if answer.error]
    if short and all(isinstance(error, DeadlineExceeded) and error.reason != SILENT for error in errors):
        raise DeadlineExceeded("the deadline passed while the shards were searched; give it more time")
    lost = ", ".join(coverage.unreachable)
    if coverage.shards_answered:
        message = f"only {coverage.ratio:.1%} of the videos were searched, {least:.1%} were asked for"
        raise Unavailable(f"{message}; lost: {lost}", "COVERAGE_TOO_LOW")
    for error in errors:
        if error.status is grpc.StatusCode.INTERNAL:
            raise error
    if overloaded and len(overloaded) == len(errors):
        raise Overloaded(f"every shard is overloaded ({lost}); try again")
    raise Unavailable(f"no shard answered ({lost}); look at `spr admin status`", "NO_SHARDS")
