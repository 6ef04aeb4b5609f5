"""Values <-> messages of spr.v1."""

import dataclasses
import struct

from google.protobuf.duration_pb2 import Duration

from spr.v1 import search_service_pb2, types_pb2
from spr_client.errors import SearchError, from_status
from spr_client.types import RULES, Coverage, Embedding, Moment, Options, SearchResult


def request_to_pb(
    query: str | Embedding,
    options: Options,
    page_size: int = 0,
    page_token: str = "",
    request_id: str = "",
    collection: str = "",
) -> search_service_pb2.SearchRequest:
    """Return a search request."""
    request = search_service_pb2.SearchRequest(
        collection=collection,
        request_id=request_id,
        page_size=page_size,
        page_token=page_token,
        params=_options_to_pb(options),
    )
    if isinstance(query, Embedding):
        request.embedding.tensor.dtype = types_pb2.DATA_TYPE_FLOAT32
        request.embedding.tensor.shape.append(len(query.vector))
        request.embedding.tensor.data = struct.pack(f"<{len(query.vector)}f", *query.vector)
        request.embedding.model_id = query.model
    else:
        request.text = query
    return request


def result_from_pb(response: search_service_pb2.SearchResponse, refined: bool | None = None) -> SearchResult:
    """Return one page of an answer. refined: whether it is the final list; None reads it off the answer."""
    versions = response.versions
    return SearchResult(
        moments=tuple(_moment_from_pb(moment) for moment in response.moments),
        total=response.total_moments,
        next_page=response.next_page_token,
        request_id=response.request_id,
        coverage=_coverage_from_pb(response.coverage),
        collection=versions.collection,
        generation=versions.generation,
        embedding_model=versions.embedding_model,
        ranker=versions.ranker_model,
        timings={timing.stage: _seconds(timing.elapsed) for timing in response.timings},
        refined=bool(versions.ranker_model) if refined is None else refined,
        nothing_good=response.nothing_good,
        confidence_threshold=(
            response.confidence_threshold if response.HasField("confidence_threshold") else None
        ),
    )


def progress_from_pb(message: search_service_pb2.ProgressiveSearchResponse) -> SearchResult:
    """Return one answer of a progressive search."""
    return result_from_pb(message.response, refined=message.stage == message.STAGE_REFINED)


def entry_from_pb(entry: search_service_pb2.BatchSearchResponse.Entry) -> SearchResult | SearchError:
    """Return one query's answer or error."""
    if entry.WhichOneof("result") == "status":
        return from_status(entry.status)
    return result_from_pb(entry.response)


def _options_to_pb(options: Options) -> search_service_pb2.SearchParams:
    given = {name: value for name, value in dataclasses.asdict(options).items() if value is not None}
    rules = {name: given.pop(name) for name in RULES if name in given}
    if len(rules) > 1:
        raise ValueError(f"{' and '.join(rules)} are two rules; give one of them")
    params = search_service_pb2.SearchParams(**given)
    if rules:
        params.proposal_rule.CopyFrom(search_service_pb2.ProposalRule(**rules))
    return params


def _moment_from_pb(moment: types_pb2.Moment) -> Moment:
    source = moment.provenance
    return Moment(
        video=moment.video_id,
        start=_seconds(moment.span.start_offset),
        end=_seconds(moment.span.end_offset),
        rank=moment.rank,
        score=moment.score,
        refined=source.refined,
        relevance=source.relevance,
        proposal_start=_seconds(source.proposal_span.start_offset),
        proposal_end=_seconds(source.proposal_span.end_offset),
        proposal_rank=source.proposal_rank,
        uri=moment.uri,
        confidence=moment.confidence if moment.HasField("confidence") else None,
    )


def _coverage_from_pb(coverage: types_pb2.Coverage) -> Coverage:
    names = [types_pb2.DegradedReason.Name(reason) for reason in coverage.degraded]
    return Coverage(
        shards_total=coverage.shards_total,
        shards_answered=coverage.shards_answered,
        videos_total=coverage.videos_total,
        videos_searched=coverage.videos_searched,
        ratio=coverage.ratio,
        degraded=tuple(name.removeprefix("DEGRADED_REASON_") for name in names),
        unreachable=tuple(coverage.unreachable),
    )


def _seconds(duration: Duration) -> float:
    return float(duration.seconds + duration.nanos / 1e9)
