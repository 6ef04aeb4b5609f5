"""Search requests, the rows of their answers, and the same search in one process."""

from typing import Any

import numpy as np

from engine import wire
from engine.proposals import ProposalRule, propose
from engine.queries import SearchOptions
from spr.v1 import search_service_pb2 as pb
from spr.v1 import types_pb2
from tests.engine.corpus import MODEL, SEGMENT, Corpus, sentence

DEFAULTS = SearchOptions()
TEXT = "a red ball bounces"
Row = tuple[str, float, float]


def request(text: str = TEXT, **fields: Any) -> pb.SearchRequest:
    params = fields.pop("params", {})
    return pb.SearchRequest(text=text, params=pb.SearchParams(**params), **fields)


def seconds(span: types_pb2.TimeSpan) -> tuple[float, float]:
    return wire.duration_from_pb(span.start_offset), wire.duration_from_pb(span.end_offset)


def rows(response: pb.SearchResponse) -> list[Row]:
    return [(m.video_id, *seconds(m.span)) for m in response.moments]


def rounded(found: list[Row]) -> list[Row]:
    return [(video, round(start, 6), round(end, 6)) for video, start, end in found]


def by_hand(
    corpus: Corpus, text: str, top_k: int = 400, refine: bool = True, rule: ProposalRule = DEFAULTS.rule
) -> list[Row]:
    """The same search in one process: everything in one shard, sorted by hand."""
    hits = corpus.search(sentence(text), range(corpus.videos), top_k)
    proposals = propose(hits, np.array(corpus.durations), SEGMENT, rule)
    found = []
    for video, span in zip(proposals.videos.tolist(), proposals.spans.tolist(), strict=True):
        start, end, score = corpus.judge(text, video, *span)
        found.append(
            (score, corpus.ids()[video], start, end) if refine else (0.0, corpus.ids()[video], *span)
        )
    return [(video, start, end) for _, video, start, end in sorted(found, key=lambda row: -row[0])]


def embedding_of(vector: Any, model: str = MODEL) -> pb.SearchRequest:
    tensor = wire.tensor_to_pb(np.asarray(vector, np.float32))
    return pb.SearchRequest(embedding=types_pb2.Embedding(tensor=tensor, model_id=model))
