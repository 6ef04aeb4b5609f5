"""The public messages of a search <-> queries and answers."""

from dataclasses import replace
from typing import TypeVar

from engine import interpretation, wire, wire_composed, wire_filter, wire_moments, wire_texts
from engine.answers import Coverage, Degraded
from engine.entries import Version
from engine.errors import InvalidInput, Mismatch, quoted
from engine.examples import Part
from engine.filters import Filter
from engine.listed import Listed
from engine.process_config import Uris
from engine.proposals import ProposalRule
from engine.queries import LONGEST_TEXT, MOST_SEGMENTS, WITHIN, Query, SearchOptions
from engine.types import Floats
from engine.words import trimmed
from spr.v1 import search_service_pb2 as search_pb
from spr.v1 import types_pb2

DEFAULT_PAGE = 10
LARGEST_PAGE = 100
DEFAULTS = SearchOptions()

_DEGRADED = {
    Degraded.SHARD_TIMEOUT: types_pb2.DEGRADED_REASON_SHARD_TIMEOUT,
    Degraded.SHARD_UNAVAILABLE: types_pb2.DEGRADED_REASON_SHARD_UNAVAILABLE,
    Degraded.RANKER_SKIPPED: types_pb2.DEGRADED_REASON_RANKER_SKIPPED,
}
Number = TypeVar("Number", int, float)


def query_from_pb(
    request: search_pb.SearchRequest, version: Version, defaults: SearchOptions = DEFAULTS
) -> Query:
    """Return what a request asks of a version; InvalidInput or Mismatch says what is wrong.

    defaults: for what a request does not say.
    """
    options = _options_from_pb(request.params, defaults)
    wanted = wire_filter.filter_from_pb(request.filter) if request.HasField("filter") else None
    if request.WhichOneof("query") == "embedding":
        embedding = _embedding_from_pb(request.embedding, version)
        return Query(embedding=embedding, options=options, filter=wanted)
    if request.WhichOneof("query") == "composed":
        parts = wire_composed.parts_from_pb(request.composed)
        return _of_parts(parts, wire_composed.within_from_pb(request.composed), options, wanted)
    text = trimmed(request.text)
    if not text:
        raise InvalidInput("the query is empty; send a sentence or an embedding", "QUERY_EMPTY", "text")
    if len(text) > LONGEST_TEXT:
        message = f"the text has {len(text)} characters; send at most {LONGEST_TEXT}"
        raise InvalidInput(message, field="text")
    if len(request.literal_words) > interpretation.MOST_LITERAL:
        message = f"literal_words has {len(request.literal_words)} entries; send at most "
        raise InvalidInput(f"{message}{interpretation.MOST_LITERAL}", field="literal_words")
    understood = interpretation.of(request)
    if understood is not None:
        options = replace(options, channels=understood.channels or options.channels)
        texts, wanted = (understood.text, *understood.then_texts), wire_filter.lifted(understood.filter)
        parts = tuple(Part(each, not_texts=understood.not_texts) for each in texts)
        return replace(_of_parts(parts, WITHIN, options, wanted), understood=understood)
    return Query(text=text, options=options, filter=wanted)


def _of_parts(parts: tuple[Part, ...], within: float, options: SearchOptions, wanted: Filter | None) -> Query:
    if not options.rerank and any(part.not_texts for part in parts):
        message = "not_texts need the ranker, which says what a moment shows; leave rerank on"
        raise InvalidInput(message, field="params.rerank")
    if len(parts) == 1:
        return Query(part=parts[0], options=options, filter=wanted, not_texts=parts[0].not_texts)
    return Query(options=options, filter=wanted, parts=parts, within=within)


def page_size_from_pb(page_size: int) -> int:
    """Return the moments of a page: 10 by default, at most 100."""
    if page_size < 0:
        raise InvalidInput(f"page_size is {page_size}; it must not be negative", field="page_size")
    return min(page_size or DEFAULT_PAGE, LARGEST_PAGE)


def page_to_pb(listed: Listed, first: int, size: int, uris: Uris = "name") -> search_pb.SearchResponse:
    """Return the rows first..first + size of a list as a page.

    The caller adds the request's id and the next page's token. uris: see CoordinatorConfig.
    """
    answer = listed.answer
    last = min(first + size, len(answer.moments))
    response = search_pb.SearchResponse(
        coverage=_coverage_to_pb(answer.coverage),
        versions=search_pb.ServingVersions(
            collection=listed.collection,
            generation=listed.version,
            embedding_model=listed.embedding_model,
            ranker_model=answer.ranker_model,
        ),
        timings=[
            search_pb.StageTiming(stage=stage, elapsed=wire.duration_to_pb(seconds))
            for stage, seconds in answer.timings
        ],
        total_moments=len(answer.moments),
        no_confident_match=answer.moments.no_confident_match,
        query_truncated=answer.truncated,
        confidence_threshold=answer.moments.confidence_threshold,
        facets=[search_pb.Facet(label=f.label, videos=f.videos, moments=f.moments) for f in listed.facets],
        videos_allowed=answer.allowed,
    )
    if listed.understood is not None:
        response.interpretation.CopyFrom(wire_composed.understood_to_pb(listed.understood))
    wire_moments.put_moments(response, listed, slice(first, last), uris)
    return response


def shorten(page: search_pb.SearchResponse, most: int) -> None:
    """Leave moments away from a page's end, never the first, until it has at most `most` bytes."""
    while (size := page.ByteSize()) > most and len(page.moments) > 1:
        del page.moments[max(1, min(len(page.moments) - 1, len(page.moments) * most // size)) :]


def _coverage_to_pb(coverage: Coverage) -> types_pb2.Coverage:
    return types_pb2.Coverage(
        shards_total=coverage.shards_total,
        shards_answered=coverage.shards_answered,
        videos_total=coverage.videos_total,
        videos_searched=coverage.videos_searched,
        ratio=coverage.ratio,
        degraded=[_DEGRADED[reason] for reason in coverage.degraded],
        unreachable=coverage.unreachable,
    )


def _options_from_pb(params: search_pb.SearchParams, defaults: SearchOptions) -> SearchOptions:
    """Read the parameters that are set; those that are absent keep their defaults."""

    def given(name: str, default: Number, low: Number, high: Number) -> Number:
        is_set = params.HasField(name)  # type: ignore[arg-type]
        return _within(name, getattr(params, name), low, high) if is_set else default

    return SearchOptions(
        segment_top_k=given("segment_top_k", defaults.segment_top_k, 1, MOST_SEGMENTS),
        proposal_top_k=given("proposal_top_k", defaults.proposal_top_k or 0, 1, 2**32) or None,
        nprobe=given("nprobe", 0, 1, 2**31) or None,
        rerank=params.rerank if params.HasField("rerank") else True,
        nms_iou=_within("nms_iou", params.nms_iou, 0.0, 1.0) if params.HasField("nms_iou") else None,
        min_coverage=given("min_coverage", 0.0, 0.0, 1.0),
        rule=_rule_from_pb(params.proposal_rule) or defaults.rule,
        per_video=given("per_video", 0, 1, 2**32) or None,
        grouped=_grouped_from_pb(params.group_by),
        facets=params.facets,
        merge_duplicates=params.merge_duplicates,
        channels=wire_texts.channels_from_pb(params.channels, "params.channels"),
    )


def _grouped_from_pb(group_by: int) -> bool:
    if group_by not in search_pb.GroupBy.values():
        message = f"group_by is {group_by}; it must be GROUP_BY_VIDEO, or not set"
        raise InvalidInput(message, field="params.group_by")
    return group_by == search_pb.GROUP_BY_VIDEO


def _within(name: str, value: Number, low: Number, high: Number) -> Number:
    # Written so that NaN fails.
    if not low <= value <= high:
        message = f"{name} is {value:g}; it must lie in {low:g}..{high:g}"
        raise InvalidInput(message, field=f"params.{name}")
    return value


def _rule_from_pb(rule: search_pb.ProposalRule) -> ProposalRule | None:
    kind = rule.WhichOneof("rule")
    try:
        if kind == "constant_gap":
            return ProposalRule("constant", rule.constant_gap)
        if kind == "adaptive_gap":
            return ProposalRule("adaptive", rule.adaptive_gap)
        if kind == "peaks":
            return ProposalRule("peaks", rule.peaks)
    except InvalidInput as error:
        error.field = f"params.proposal_rule.{kind}"
        raise
    return ProposalRule() if rule.adjacent else None


def _embedding_from_pb(embedding: types_pb2.Embedding, version: Version) -> Floats:
    """Return the vector at unit length; Mismatch unless the version's model made it."""
    vector = wire.unit_from_pb(embedding.tensor, version.dim, "embedding.tensor")
    model = version.embedding_model
    if embedding.model_id != model:
        given = quoted(embedding.model_id)
        raise Mismatch(f"the embedding is by {given}; this version needs one by {model!r}")
    return vector
