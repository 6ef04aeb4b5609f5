"""Queries: a sentence or a vector, with the search options."""

from dataclasses import dataclass, field

from engine.examples import Part
from engine.filters import Filter
from engine.proposals import ProposalRule
from engine.types import Floats

MOST_SEGMENTS = 2000
LONGEST_TEXT = 1000
# Tuned on val, together with segment_top_k and proposal_top_k: docs/evaluation.md.
RULE = ProposalRule("peaks", 1)


@dataclass(frozen=True, slots=True)
class SearchOptions:
    """How to answer. The fields are those of spr.v1.SearchParams with the defaults filled in.

    proposal_top_k None: all. nprobe None: the index's own. nms_iou None: keep overlapping moments.
    per_video None: all moments of a video. grouped: a video's moments together. facets: count labels.
    """

    segment_top_k: int = 200
    proposal_top_k: int | None = 200
    nprobe: int | None = None
    rerank: bool = True
    nms_iou: float | None = None
    min_coverage: float = 0.0
    rule: ProposalRule = RULE
    per_video: int | None = None
    grouped: bool = False
    facets: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """One query: `text`, `part`, or `embedding` (dim,) float32 of unit length in the index's space.

    filter: what may be found; None for everything.
    """

    text: str = ""
    embedding: Floats | None = None
    part: Part | None = None
    options: SearchOptions = field(default_factory=SearchOptions)
    filter: Filter | None = None
