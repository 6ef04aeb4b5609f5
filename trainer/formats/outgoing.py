"""What an export writes, and what its caller chose."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from engine.errors import InvalidInput, NotFound
from engine.proposals import ProposalRule
from trainer.collection.annotations import JudgedQuery, load_corpus, load_queries
from trainer.collection.encoders import encoder_of, encoder_source
from trainer.collection.places import FRAMES, features_directory
from trainer.collection.projectors import open_projector
from trainer.collection.queries import QueryFeatures, encode_queries
from trainer.formats.layout import ARCHITECTURES, I3D, SEGMENTS, SPLITS, SUBTITLES_BERT, Layout
from trainer.formats.names import check_names
from trainer.formats.negatives import nearest, with_negatives
from trainer.formats.verify import check_same_text
from trainer.runs import pick_device
from workers.feature_store.store import FeatureStore
from workers.ranker.projection.projector import MeanPool, Projector
from workers.ranker.stores.features import SUBTITLES


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """A caller's choices. min_similarity: of training moments. depth: segments retrieved for proposals.

    all_moments: whether training moments go out that the published training may stop at.
    """

    min_similarity: float
    depth: int
    rule: ProposalRule
    all_moments: bool


@dataclass(frozen=True)
class Outgoing:
    """What is written. durations: of all videos with frames, by name. streams: of the files of clips.

    given_segments: whether the collection's own segment features go out, and not the projector's.
    cut: whether training moments were left out, so that what was kept beside them does not fit; about_cut:
    what to tell of it; uncut: training queries with all their moments, by id.
    """

    collection: Path
    layout: Layout
    store: FeatureStore
    durations: dict[str, float]
    queries: dict[str, list[JudgedQuery]]
    corpora: dict[str, dict[str, float]]
    features: QueryFeatures
    projector: Projector | MeanPool
    device: torch.device
    streams: tuple[str, str]
    given_segments: bool
    options: ExportOptions
    cut: bool
    about_cut: str
    uncut: Mapping[int, JudgedQuery]

    @property
    def token_width(self) -> int:
        """The width of a query's token states."""
        text = next(query.query for rows in self.queries.values() for query in rows)
        return int(self.features.tokens(text).shape[1])

    def keeps(self, file: Path) -> bool:
        """Whether a file that was kept beside judged queries still fits them."""
        return not (self.cut and file.name.startswith("train_"))


def open_export(
    collection: Path,
    wanted: Layout,
    options: ExportOptions,
    projector: str | None,
    encoder: str | None,
    device: str,
) -> Outgoing:
    """Gather what an export writes; NotFound or InvalidInput name what is missing or cannot be exported."""
    store = FeatureStore.open(features_directory(collection, encoder))
    fingerprint = encoder_of(store)
    queries, corpora = _judged(collection)
    where = pick_device(device)
    chosen = open_projector(collection, projector, fingerprint).to(where)
    streams = _clip_streams(store)
    layout = _layout(wanted, store, streams, chosen)
    durations = _durations(store, corpora.values())
    uncut = {query.query_id: query for query in queries.get("train", [])}
    cut, about_cut = _keep_nearest(queries, layout.top_k, options)
    texts = [query.query for rows in queries.values() for query in rows]
    return Outgoing(
        collection=collection,
        layout=layout,
        store=store,
        durations=durations,
        queries=queries,
        corpora=corpora,
        features=encode_queries(collection, fingerprint, encoder_source(store), texts, device),
        projector=chosen,
        device=where,
        streams=streams,
        given_segments=isinstance(chosen, MeanPool) and SEGMENTS in store.streams and projector is None,
        options=options,
        cut=cut,
        about_cut=about_cut,
        uncut=uncut,
    )


def _layout(
    wanted: Layout, store: FeatureStore, streams: tuple[str, str], projector: Projector | MeanPool
) -> Layout:
    """Return the layout of this collection; InvalidInput where one lies already."""
    layout = replace(
        wanted,
        arch=wanted.arch or _arch(store),
        length=projector.segment_length,
        step=store.streams[streams[0]].step,
    )
    if layout.path("clip").exists() or layout.path("sidecar").exists():
        raise InvalidInput(f"{layout.root} holds an export already; name an empty directory.")
    check_names([layout.arch], "architecture", store.path)
    return layout


def _durations(store: FeatureStore, corpora: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Return the seconds of every video with frames, by name: as a corpus has them, else as the store."""
    shown = [video for video in store.ids() if store.record(video).streams[FRAMES][1]]
    check_names(shown, "video", store.path)
    durations = {video: store.record(video).duration for video in shown}
    for corpus in corpora:
        durations |= {video: corpus[video] for video in durations.keys() & corpus.keys()}
    return {video: durations[video] for video in sorted(durations)}


def _keep_nearest(
    queries: dict[str, list[JudgedQuery]], top_k: int, options: ExportOptions
) -> tuple[bool, str]:
    """Keep training queries' most similar moments; return whether any was left out, and a note."""
    whole = queries.get("train", [])
    if not whole:
        return False, ""
    near = nearest(whole, top_k, options.min_similarity)
    if not near:
        raise InvalidInput("No training query has a moment of that similarity; lower --min-similarity.")
    queries["train"], told = with_negatives(near, options.all_moments)
    return queries["train"] != whole, told


def _judged(collection: Path) -> tuple[dict[str, list[JudgedQuery]], dict[str, dict[str, float]]]:
    """Return the judged queries and the corpus of every split that there is."""
    annotations = collection / "annotations"
    queries = {
        split: load_queries(annotations / f"{split}.json")
        for split in SPLITS
        if (annotations / f"{split}.json").is_file()
    }
    if not queries:
        raise NotFound(f"{annotations} holds no judged queries; bring some in with: spr corpus annotate")
    check_same_text(queries)
    return queries, {split: load_corpus(annotations / f"corpus_{split}.json") for split in queries}


def _arch(store: FeatureStore) -> str:
    """Return the published name of the encoder: the imported one, or the one of this width."""
    name = str(store.meta.get("encoder", ""))
    if name.startswith("CLIP-ViT-"):
        return name
    return ARCHITECTURES.get(store.streams[FRAMES].dim, "CLIP-other")


def _clip_streams(store: FeatureStore) -> tuple[str, str]:
    """Return the streams that the files of clips are made of; InvalidInput unless they fit each other."""
    video = I3D if I3D in store.streams else FRAMES
    subtitles = SUBTITLES_BERT if SUBTITLES_BERT in store.streams else SUBTITLES
    if store.streams[FRAMES].step != 1.0:
        raise InvalidInput(
            f"{store.path} has a frame every {store.streams[FRAMES].step:g} s, not one a second."
        )
    if subtitles in store.streams and store.streams[subtitles].step != store.streams[video].step:
        raise InvalidInput(f"{store.path}: {video} and {subtitles} have clips of different lengths.")
    return video, subtitles
