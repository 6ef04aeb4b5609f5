"""The queries of val with what a search proposes for them: of what is seen, and what texts say."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from engine import channels
from engine.errors import NotFound
from engine.proposals import ProposalRule, propose
from engine.queries import SearchOptions
from engine.ranking import take
from engine.texts import TextHits
from engine.types import Proposals
from trainer.collection.annotations import JudgedQuery
from trainer.collection.places import known_videos
from trainer.collection.queries import QueryFeatures
from trainer.collection.retrieval import Retrieval
from trainer.collection.segments import VideoRows
from trainer.collection.text_retrieval import TextRetrieval
from trainer.collection.texts import texts_of
from trainer.evaluation.judged import Judgements
from trainer.ranker.fitted_lists import Weights, fit_lists
from trainer.ranker.settings import RankerSettings
from trainer.ranker.validation import Validation
from workers.feature_store.store import FeatureStore
from workers.ranker.projection.projector import MeanPool, Projector
from workers.ranker.sentences.encoder import SentenceEncoder
from workers.ranker.stores.features import FeatureMaps


@dataclass(frozen=True, slots=True)
class Val:
    """What val is made of. corpus: the videos that are searched. sentences: None to seek words alone."""

    store: FeatureStore
    queries: Sequence[JudgedQuery]
    corpus: Iterable[str]
    features: QueryFeatures
    stage1: Projector | MeanPool
    sentences: SentenceEncoder | None


def validation_of(val: Val, settings: RankerSettings, device: torch.device) -> Validation:
    """Retrieve for every query of val; where videos have texts, fit how much each ranked list counts."""
    contexts, ordinals = contexts_of(val.store, val.corpus, "val")
    retrieval = Retrieval.embed(VideoRows.of_contexts(contexts), val.stage1, device)
    queried = projected(val.stage1, val.features, val.queries, device)
    rule, most = ProposalRule.parse(settings.val_proposals), SearchOptions().proposal_top_k
    depth = retrieval.depth(settings.depth, settings.depth_share)
    found = Validation(
        contexts=contexts,
        tokens=[val.features.tokens(query.query) for query in val.queries],
        proposals=[],
        truths={row: _judged(query, ordinals) for row, query in enumerate(val.queries)},
        depth=depth,
        segments=len(retrieval.vectors),
    )
    said = _texts(val, retrieval, list(ordinals))
    listed = _listed(val, said, depth)
    if not any(listed):
        proposals = [take(one, most) for one in retrieval.proposals(queried, depth, rule)]
        return replace(found, proposals=proposals)
    seen = list(retrieval.hits(queried, depth))

    def proposed(row: int, weights: Weights) -> Proposals:
        hits = channels.fuse(seen[row], listed[row], depth, weights)
        proposals = take(propose(hits, retrieval.durations, retrieval.length, rule), most)
        return replace(proposals, texts=channels.columns(proposals, listed[row], retrieval.length))

    truths = [found.truths[row] for row in range(len(seen))]
    lists = fit_lists(_names(listed), truths, proposed, settings.model.window.context)
    proposals = [proposed(row, lists) for row in range(len(seen))]
    return replace(found, proposals=proposals, lists=lists, usual_cosine=said.usual_cosine)


def contexts_of(store: FeatureStore, videos: Iterable[str], split: str) -> tuple[FeatureMaps, dict[str, int]]:
    """Return the features of a split's videos, and their ordinals; NotFound where there are none."""
    known = known_videos(store, list(videos))
    if not known:
        raise NotFound(f"None of the {split} videos has features in {store.path}; ingest them.")
    return FeatureMaps.from_feature_store(store, known), {video: row for row, video in enumerate(known)}


@torch.inference_mode()
def projected(
    stage1: Projector | MeanPool,
    features: QueryFeatures,
    queries: Sequence[JudgedQuery],
    device: torch.device,
) -> torch.Tensor:
    """Return queries as retrieval searches them, (n, dim)."""
    pooled = features.pooled([query.query for query in queries])
    return stage1.queries(torch.from_numpy(pooled).to(device))


def _judged(query: JudgedQuery, ordinals: dict[str, int]) -> Judgements:
    truth = Judgements.of(query)
    # A video without features keeps counting: it is simply never found.
    return replace(truth, videos=np.array([ordinals.get(video, -1) for video in truth.videos], np.int64))


def _texts(val: Val, retrieval: Retrieval, videos: Sequence[str]) -> TextRetrieval:
    """Index what is said and written in the videos of val."""
    told = texts_of(val.store, videos)
    counts = np.bincount(retrieval.videos, minlength=len(videos)).astype(np.int32)
    return TextRetrieval.of(told, counts, retrieval.length, encoder=val.sentences)


def _listed(val: Val, said: TextRetrieval, depth: int) -> list[tuple[TextHits, ...]]:
    """Return the lists of texts of every query, none where no video has text."""
    sentences = [query.query for query in val.queries]
    vectors = [None] * len(sentences) if said.encoder is None else said.encoder.queries(sentences)
    asked = zip(sentences, vectors, strict=True)
    return [channels.telling(said.search(text, vector, depth), said.usual_cosine) for text, vector in asked]


def _names(listed: Sequence[Sequence[TextHits]]) -> list[str]:
    return list(dict.fromkeys(".".join(one.name) for lists in listed for one in lists))
