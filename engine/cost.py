"""What a search costs, in units: 1 with the default options."""

from engine.examples import MOST
from engine.queries import MOST_SEGMENTS, SearchOptions
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
    pictures = sum(
        one.WhichOneof("source") == "image" for part in request.composed.parts for one in part.examples
    )
    return max(
        1.0,
        ALWAYS
        + PICTURE * min(pictures, MOST)
        + SEGMENTS * segments / max(1, usual)
        + RANKING * ranked / max(1, usually_ranked),
    )
