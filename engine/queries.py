"""Queries: a sentence or a vector, with the search options."""

from dataclasses import dataclass, field

from engine.examples import Part
from engine.filters import Filter
from engine.proposals import ProposalRule
from engine.texts import TEXTS
from engine.types import Floats
from spr.v1 import search_service_pb2 as pb

MOST_SEGMENTS = 2000
LONGEST_TEXT = 1000
MOST_PARTS, MOST_NEGATIVES = 5, 5
WITHIN = 30.0  # seconds
# Tuned on val, together with segment_top_k and proposal_top_k: docs/evaluation.md.
RULE = ProposalRule("peaks", 1)


@dataclass(frozen=True, slots=True)
class SearchOptions:
    """How to answer. The fields are those of spr.v1.SearchParams with the defaults filled in.

    proposal_top_k None: all. nprobe None: the index's own. nms_iou None: keep overlapping moments.
    per_video None: all moments of a video. grouped: a video's moments together. facets: count labels.
    merge_duplicates: moments of other videos that show the same become one. channels: where a text is
    sought, of `texts.CHANNELS`; empty: in all that there are.
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
    merge_duplicates: bool = False
    channels: tuple[str, ...] = ()

    @property
    def in_texts(self) -> bool:
        """Whether texts are searched too, where a version has them."""
        return not self.channels or any(name in TEXTS for name in self.channels)


@dataclass(frozen=True, slots=True)
class Lift:
    """Words that were lifted out of a text, as they stand in it, and what they were taken for."""

    words: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Interpretation:
    """What is searched in place of a text. then_texts: follow it in order. not_texts: hold for each part.

    filter: what was lifted, with the request's own. lifts: in the text's order. channels: where alone it is
    sought, as `SearchOptions` has them.
    """

    text: str
    then_texts: tuple[str, ...]
    not_texts: tuple[str, ...]
    filter: pb.Filter
    lifts: tuple[Lift, ...]
    channels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Query:
    """One query: `text`, `part`, `parts`, or `embedding` (dim,) float32 of unit length in the index's space.

    filter: what may be found; None for everything. not_texts: what a moment must not show. parts:
    two or more, which follow each other in this order, each at most `within` seconds after the one before.
    understood: what the caller's text was taken for, None where it stands as it is.
    """

    text: str = ""
    embedding: Floats | None = None
    part: Part | None = None
    options: SearchOptions = field(default_factory=SearchOptions)
    filter: Filter | None = None
    not_texts: tuple[str, ...] = ()
    parts: tuple[Part, ...] = ()
    within: float = WITHIN
    understood: Interpretation | None = None

    def field_of(self, part: int) -> str:
        """Return the path of a part in the request, "" where the request's text became it."""
        return f"composed.parts[{part}]" if self.understood is None else ""
