"""What a caller asks: a sentence or a vector, and how to answer it."""

from dataclasses import dataclass, field

from engine.proposals import ProposalRule
from engine.types import Floats

MOST_SEGMENTS = 2000
LONGEST_TEXT = 1000


@dataclass(frozen=True, slots=True)
class SearchOptions:
    """How to answer. The fields are those of spr.v1.SearchParams with the defaults filled in.

    proposal_top_k None: all. nprobe None: the index's own. nms_iou None: keep overlapping moments.
    """

    segment_top_k: int = 200
    proposal_top_k: int | None = None
    nprobe: int | None = None
    rerank: bool = True
    nms_iou: float | None = None
    min_coverage: float = 0.0
    rule: ProposalRule = field(default_factory=ProposalRule)


@dataclass(frozen=True, slots=True)
class Query:
    """One query: `text`, or `embedding` (dim,) float32 of unit length in the index's space."""

    text: str = ""
    embedding: Floats | None = None
    options: SearchOptions = field(default_factory=SearchOptions)
