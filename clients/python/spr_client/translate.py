"""Values <-> messages of spr.v1."""

import dataclasses
import struct
from collections.abc import Iterable, Mapping, Sequence
from numbers import Real

from spr.v1 import search_service_pb2, types_pb2
from spr_client.composed import Composed
from spr_client.errors import InvalidInput, SearchError, from_status
from spr_client.explanation import Curve, Explanation, Segment
from spr_client.fields import BAD, put, texts
from spr_client.parts import Part
from spr_client.translate_composed import composed_to_pb, interpretation_from_pb, part_to_pb
from spr_client.translate_evidence import channels_to_pb, list_from_pb
from spr_client.translate_filter import facets_from_pb, filter_to_pb
from spr_client.translate_moments import coverage_from_pb, moment_from_pb, seconds_from_pb, span_from_pb
from spr_client.types import (
    RULES,
    Embedding,
    Options,
    Query,
    SearchResult,
)

_OF_REQUEST = ("filter", "interpret", "literal_words")
_OPTIONS = [field.name for field in dataclasses.fields(Options) if field.name not in _OF_REQUEST]
LONGEST = 1e8  # seconds: three years


def request_to_pb(
    query: Query,
    options: Options,
    page_size: int = 0,
    page_token: str = "",
    request_id: str = "",
    collection: str = "",
    version: str = "",
) -> search_service_pb2.SearchRequest:
    """Return a search request; InvalidInput names the argument that cannot be sent."""
    request = search_service_pb2.SearchRequest(params=_options_to_pb(options))
    if options.filter is not None:
        request.filter.CopyFrom(filter_to_pb(options.filter))
    put(request, "collection", collection)
    put(request, "version", version)
    put(request, "request_id", request_id)
    put(request, "page_size", page_size)
    put(request, "page_token", page_token)
    put(request, "interpret", options.interpret)
    request.literal_words.extend(texts("literal_words", options.literal_words))
    if isinstance(query, Embedding):
        _put_vector(request.embedding.tensor, query.vector)
        put(request.embedding, "model_id", query.model)
    elif isinstance(query, Composed):
        request.composed.CopyFrom(composed_to_pb(query))
    elif isinstance(query, str):
        put(request, "text", query)
    elif isinstance(query, Part):
        request.composed.parts.append(part_to_pb(query))
    else:
        kind = type(query).__name__
        message = f"the query is of type {kind}; give a sentence (str), a Part, a Composed or an Embedding"
        raise InvalidInput(message, BAD)
    return request


def batch_to_pb(
    queries: Sequence[Query], options: Options, page_size: int, collection: str, version: str = ""
) -> tuple[search_service_pb2.BatchSearchRequest, dict[int, SearchError]]:
    """Return a request of several queries, and the errors of those that cannot be sent, by their row.

    InvalidInput for other arguments that cannot be sent, and for one query in place of several.
    """
    if isinstance(queries, str | Part | Embedding | Composed) or not isinstance(queries, Iterable):
        raise InvalidInput("a batch is a list of queries; give one query to `search`", BAD)
    request_to_pb("", options, page_size, collection=collection, version=version)
    batch, refused = search_service_pb2.BatchSearchRequest(), dict[int, SearchError]()
    for row, query in enumerate(queries):
        try:
            batch.requests.append(
                request_to_pb(query, options, page_size, collection=collection, version=version)
            )
        except InvalidInput as error:
            refused[row] = error
    return batch, refused


def limit(timeout: float | None) -> float | None:
    """Return a timeout as gRPC takes it, None for none; InvalidInput unless it is above 0."""
    if timeout is None:
        return None
    if not isinstance(timeout, Real) or not timeout > 0:
        message = f"timeout is {timeout!r}; give seconds above 0, or None for no limit of your own"
        raise InvalidInput(message, BAD)
    # gRPC would make a moment in the past of one that is far enough away.
    return float(timeout) if timeout < LONGEST else None


def result_from_pb(response: search_service_pb2.SearchResponse, refined: bool | None = None) -> SearchResult:
    """Return one page of an answer. refined: whether it is the final list; None reads it off the answer."""
    versions = response.versions
    return SearchResult(
        moments=tuple(moment_from_pb(moment) for moment in response.moments),
        total=response.total_moments,
        next_page=response.next_page_token,
        request_id=response.request_id,
        coverage=coverage_from_pb(response.coverage),
        collection=versions.collection,
        generation=versions.generation,
        embedding_model=versions.embedding_model,
        ranker=versions.ranker_model,
        timings={timing.stage: seconds_from_pb(timing.elapsed) for timing in response.timings},
        refined=bool(versions.ranker_model) if refined is None else refined,
        no_confident_match=response.no_confident_match,
        query_truncated=response.query_truncated,
        facets=facets_from_pb(response.facets),
        videos_allowed=response.videos_allowed if response.HasField("videos_allowed") else None,
        interpretation=interpretation_from_pb(response),
        confidence_threshold=(
            response.confidence_threshold if response.HasField("confidence_threshold") else None
        ),
    )


def progress_from_pb(message: search_service_pb2.ProgressiveSearchResponse) -> SearchResult:
    """Return one answer of a progressive search."""
    return result_from_pb(message.response, refined=message.stage == message.STAGE_REFINED)


def entries_from_pb(
    response: search_service_pb2.BatchSearchResponse, refused: Mapping[int, SearchError]
) -> list[SearchResult | SearchError]:
    """Return each query's answer or error; `refused` were never sent."""
    entries = [_entry_from_pb(entry) for entry in response.entries]
    for row, error in sorted(refused.items()):
        entries.insert(row, error)
    return entries


def explanation_from_pb(response: search_service_pb2.ExplainResponse) -> Explanation:
    """Return why moments of a video were found."""
    return Explanation(
        video=response.video_id,
        duration=seconds_from_pb(response.duration),
        segments=tuple(
            Segment(*span_from_pb(s.span), s.score, s.rank, *list_from_pb(s)) for s in response.segments
        ),
        moments=tuple(moment_from_pb(moment) for moment in response.moments),
        frames=_curve_from_pb(response.frames) if response.HasField("frames") else None,
        subtitles=_curve_from_pb(response.subtitles) if response.HasField("subtitles") else None,
        coverage=coverage_from_pb(response.coverage),
        generation=response.versions.generation,
        ranker=response.versions.ranker_model,
        request_id=response.request_id,
    )


def explain_to_pb(search: search_service_pb2.SearchRequest, video: str) -> search_service_pb2.ExplainRequest:
    """Return a request to explain a search; InvalidInput for an id that cannot be sent."""
    request = search_service_pb2.ExplainRequest(search=search)
    put(request, "video_id", video)
    return request


def _curve_from_pb(curve: search_service_pb2.SimilarityCurve) -> Curve:
    return Curve(seconds_from_pb(curve.step), tuple(curve.values))


def _entry_from_pb(entry: search_service_pb2.BatchSearchResponse.Entry) -> SearchResult | SearchError:
    """Return one query's answer or error."""
    if entry.WhichOneof("result") == "status":
        return from_status(entry.status)
    return result_from_pb(entry.response)


def _options_to_pb(options: Options) -> search_service_pb2.SearchParams:
    if not isinstance(options, Options):
        raise InvalidInput(f"options is of type {type(options).__name__}; give an Options", BAD)
    given = {name: value for name in _OPTIONS if (value := getattr(options, name)) is not None}
    if given.pop("grouped", None):
        given["group_by"] = search_service_pb2.GROUP_BY_VIDEO
    channels = channels_to_pb(given.pop("channels"))
    rules = {name: given.pop(name) for name in RULES if name in given}
    if len(rules) > 1:
        raise InvalidInput(f"{' and '.join(rules)} are two rules; give one of them", BAD)
    params = search_service_pb2.SearchParams(channels=channels)
    for name, value in given.items():
        put(params, name, value)
    for name, value in rules.items():
        put(params.proposal_rule, name, value)
    return params


def _put_vector(tensor: types_pb2.Tensor, vector: Sequence[float]) -> None:
    try:
        numbers = [float(number) for number in vector]
        tensor.data = struct.pack(f"<{len(numbers)}f", *numbers)
    except (TypeError, ValueError, OverflowError):
        message = "the embedding's vector holds what is no float32; give numbers of at most 3.4e38"
        raise InvalidInput(message, BAD) from None
    tensor.dtype = types_pb2.DATA_TYPE_FLOAT32
    tensor.shape.append(len(numbers))
