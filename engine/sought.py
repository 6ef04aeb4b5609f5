"""What is asked of all shards for one query, and their lists of what is seen, said and written as one."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from engine import channels, merge, wire, wire_texts
from engine.answers import Coverage
from engine.entries import Version
from engine.queries import SearchOptions
from engine.texts import CHANNELS, LISTS, SEEN, TEXTS, Sources, TextHits, TextsSought
from engine.types import EncodedQuery, Hits
from spr.internal.v1.index_shard_service_pb2 import SearchSegmentsRequest
from spr.v1.types_pb2 import Embedding


@dataclass(frozen=True, slots=True)
class Retrieved:
    """The best hits over all shards that answered, and their coverage. timings: (shard, seconds).

    sources: the lists that the hits are of; None for a version without texts, and a query without words.
    """

    hits: Hits
    coverage: Coverage
    timings: tuple[tuple[str, float], ...]
    sources: Sources | None = None

    @property
    def texts(self) -> tuple[TextHits, ...]:
        """The lists of texts."""
        return () if self.sources is None else self.sources.texts


def request(
    query: EncodedQuery, options: SearchOptions, version: Version, request_id: str
) -> SearchSegmentsRequest:
    """Return what every shard is asked. A query without words is sought in pictures alone."""
    chosen = (options.channels or CHANNELS) if query.text else (SEEN,)
    asked = SearchSegmentsRequest(
        request_id=request_id, generation=version.id, top_k=options.segment_top_k, nprobe=options.nprobe
    )
    if SEEN in chosen:
        tensor = wire.tensor_to_pb(query.embedding[None])
        asked.queries.CopyFrom(Embedding(tensor=tensor, model_id=version.embedding_model))
    in_texts = tuple(name for name in TEXTS if name in chosen)
    if version.texts is not None and in_texts:
        sought = TextsSought(in_texts, query.text, query.sentence)
        asked.texts.CopyFrom(wire_texts.sought_to_pb(sought))
    return asked


def anything(asked: SearchSegmentsRequest) -> bool:
    """Whether a request can find anything: not where the version lacks all channels that are chosen."""
    return asked.HasField("queries") or asked.HasField("texts")


def fused(
    version: Version, text: str, seen: Sequence[Hits], texts: Sequence[TextHits], k: int
) -> tuple[Hits, Sources | None]:
    """Merge the shards' lists, each kind by itself; return the fusion of them, and them."""
    hits = merge.top_k(seen, k)
    if version.texts is None or not text:
        return hits, None
    found = [(name, [one.hits for one in texts if one.name == name]) for name in LISTS]
    lists = tuple(TextHits(name, merge.top_k(several, k)) for name, several in found if several)
    if len(hits):
        lists = channels.telling(lists, version.texts.usual_cosine)
    return channels.fuse(hits, lists, k, version.texts.weights), Sources(text, hits, lists)


def together(version: Version, one: Retrieved, more: Retrieved, k: int) -> Retrieved:
    """Return what two retrievals of one query found, the best k; no video is in both."""
    coverage = Coverage.together([one.coverage, more.coverage])
    if one.sources is None or more.sources is None:
        return replace(one, hits=merge.top_k([one.hits, more.hits], k), coverage=coverage)
    both = (one.sources, more.sources)
    texts = [found for each in both for found in each.texts]
    hits, sources = fused(version, one.sources.text, [each.seen for each in both], texts, k)
    return replace(one, hits=hits, coverage=coverage, sources=sources)
