"""The Python client of SPR: a sentence in, ranked moments of videos out.

from spr_client import Client

with Client("localhost:7400") as client:
for moment in client.search("a red ball bounces").moments:
print(moment.rank, moment, moment.score)
"""

from spr_client.access import Tls
from spr_client.aio import AsyncClient
from spr_client.client import Client
from spr_client.composed import Composed, Duplicate, Interpretation, Lift
from spr_client.errors import (
    DeadlineExceeded,
    InvalidInput,
    Mismatch,
    NotFound,
    Overloaded,
    PermissionDenied,
    SearchError,
    Unauthenticated,
    Unavailable,
)
from spr_client.evidence import Finding, Piece, TextLine
from spr_client.explanation import Curve, Explanation, Segment
from spr_client.feedback import Feedback, Judgement
from spr_client.parts import Clip, Part
from spr_client.types import (
    Coverage,
    Embedding,
    Facet,
    Filter,
    Moment,
    Options,
    SearchResult,
    Video,
    clock,
)

__all__ = [
    "AsyncClient",
    "Client",
    "Clip",
    "Composed",
    "Coverage",
    "Curve",
    "DeadlineExceeded",
    "Duplicate",
    "Embedding",
    "Explanation",
    "Facet",
    "Feedback",
    "Filter",
    "Finding",
    "Interpretation",
    "InvalidInput",
    "Judgement",
    "Lift",
    "Mismatch",
    "Moment",
    "NotFound",
    "Options",
    "Overloaded",
    "Part",
    "PermissionDenied",
    "Piece",
    "SearchError",
    "SearchResult",
    "Segment",
    "TextLine",
    "Tls",
    "Unauthenticated",
    "Unavailable",
    "Video",
    "clock",
]
