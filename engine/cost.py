"""What a search costs, in units: 1 with the default options."""

from engine import interpretation
from engine.examples import MOST
from engine.queries import MOST_NEGATIVES, MOST_PARTS, MOST_SEGMENTS, SearchOptions
from spr.v1 import search_service_pb2 as pb

# Of a default search's time at the published size: what any search takes, its segments, its ranking.
ALWAYS, SEGMENTS, RANKING = 0.3, 0.2, 0.5
PICTURE = 0.3  # on a core a picture takes some times longer than a sentence


def cost_of(request: pb.SearchRequest, defaults: SearchOptions) -> float:
    """Return the units that a request will cost; never below 1, so that the count is bounded too.

    Out of range values count as the nearest that is not.
    """
    params = request.params
    segments = params.segment_top_k if params.HasField("segment_top_k") else defaults.segment_top_k
    segments = min(max(segments, 1), MOST_SEGMENTS)
    ranked = params.proposal_top_k if params.HasField("proposal_top_k") else defaults.proposal_top_k
    # There are at most as many proposals as segments.
    ranked = min(ranked or segments, segments)
    if request.WhichOneof("query") == "embedding" or (params.HasField("rerank") and not params.rerank):
        ranked = 0
    usual = defaults.segment_top_k
    usually_ranked = min(defaults.proposal_top_k or usual, usual)
    one = max(1.0, ALWAYS + SEGMENTS * segments / max(1, usual) + RANKING * ranked / max(1, usually_ranked))
    return one * _searches(request) + PICTURE * _pictures(request)


def _pictures(request: pb.SearchRequest) -> int:
    """Return how many pictures are encoded, of those that may be sent."""
    parts = request.composed.parts[:MOST_PARTS]
    return sum(one.WhichOneof("source") == "image" for part in parts for one in part.examples[:MOST])


def _searches(request: pb.SearchRequest) -> int:
    """Return how many searches a request makes: one a part, one for each text that must not be there."""
    if request.WhichOneof("query") == "composed":
        parts = request.composed.parts[:MOST_PARTS]
        return max(1, len(parts)) + sum(min(len(part.not_texts), MOST_NEGATIVES) for part in parts)
    understood = interpretation.of(request)
    if understood is None:
        return 1
    parts_there = 1 + len(understood.then_texts)
    return parts_there * (1 + len(understood.not_texts))
