"""A collection in the TVR-Ranking layout, complete enough that the published SPR code trains on it."""

import math
from dataclasses import dataclass, replace
from pathlib import Path

from engine.errors import InvalidInput, NotFound
from engine.proposals import ProposalRule
from trainer.collection.annotations import JudgedQuery, load_corpus, load_queries
from trainer.collection.places import FRAMES, encoder_source, features_directory, open_projector
from trainer.collection.queries import encode_queries
from trainer.formats.layout import ARCHITECTURES, I3D, SEGMENTS, SPLITS, SUBTITLES_BERT, Layout
from trainer.formats.names import check_names
from trainer.formats.negatives import nearest, warning
from trainer.formats.outgoing import Asked, Outgoing
from trainer.formats.tvr_files import (
    write_annotations,
    write_features,
    write_kept,
    write_projector,
    write_proposals,
    write_queries,
    write_records,
    write_segments,
)
from trainer.formats.tvr_samples import DEPTH
from trainer.formats.verify import check_same_text
from trainer.runs import pick_device
from workers.feature_store.store import FeatureStore
from workers.ranker.projection.projector import MeanPool
from workers.ranker.stores.features import SUBTITLES

# Seconds of the longest span that the published ranker may predict.
LONGEST_SPAN = 24.0


@dataclass(frozen=True, slots=True)
class Exported:
    """What went out. segments: of all videos. projector: what made their features.

    stage3: the arguments that the published stage 3 wants for these files.
    """

    directory: str
    arch: str
    videos: int
    segments: int
    queries: dict[str, int]
    projector: str
    stage3: str
    notes: list[str]


def export_tvr_ranking(
    collection: Path,
    out: Path,
    *,
    arch: str = "",
    top_k: int = 40,
    min_similarity: float = -1.0,
    context: int = 8,
    projector: str | None = None,
    encoder: str | None = None,
    proposals: bool = True,
    depth: int = DEPTH,
    rule: str = "adjacent",
    device: str = "auto",
) -> Exported:
    """Write the layout under `out`, which must not hold one.

    top_k, min_similarity: the moments of a training query that go out; top_k is in the names of its files.
    context: seconds around training samples. projector: a fingerprint, "none" for mean pooling, None for the
    current one. proposals: whether retrieval is run for the coarse predictions and training samples that the
    collection does not keep: of `depth` segments, by the proposal rule `rule`.
    """
    layout = Layout(out, arch=arch, top_k=top_k, context=context)
    asked = Asked(min_similarity, depth, ProposalRule.parse(rule))
    export = _open(collection, layout, asked, projector, encoder, device)
    notes: list[str] = []
    write_features(export)
    segments = write_segments(export)
    write_projector(export, notes)
    write_queries(export)
    write_annotations(export, notes)
    write_kept(export)
    if proposals:
        write_proposals(export, notes)
    _note_limits(export, notes)
    write_records(export)
    made = "given" if export.given_segments else type(export.projector).__name__
    return Exported(
        directory=str(out),
        arch=export.layout.arch,
        videos=len(export.durations),
        segments=segments,
        queries={split: len(queries) for split, queries in export.queries.items()},
        projector=made,
        stage3=_stage3(export),
        notes=notes,
    )


def _note_limits(export: Outgoing, notes: list[str]) -> None:
    """Say what the published code will not take, or not as one expects."""
    unseen = len(export.store.ids()) - len(export.durations)
    if unseen:
        notes.append(f"{unseen} videos without a frame were left out")
    width = export.store.streams[FRAMES].dim
    if width not in ARCHITECTURES:
        notes.append(
            "stage 1 and retrieval_eval of the published code know CLIP's widths alone "
            f"({', '.join(map(str, ARCHITECTURES))}), not {width}: only its stage 3 and its index take these"
        )
    told = warning(export.queries.get("train", []))
    if told:
        notes.append(told)


def _stage3(export: Outgoing) -> str:
    """Return the sizes and lengths that the published stage 3 has to be told."""
    streams, (video, subtitles) = export.store.streams, export.streams
    step = streams[video].step
    arguments = {
        "clip_length": f"{step:g}",
        # In clips: the published 16 of 1.5 s are 24 s.
        "max_pred_l": f"{math.ceil(LONGEST_SPAN / step)}",
        "visual_input_size": streams[video].dim,
        "sub_input_size": streams.get(subtitles, streams[video]).dim,
        "query_input_size": export.token_width,
    }
    return " ".join(f"--{name} {value}" for name, value in arguments.items())


def _open(
    collection: Path,
    wanted: Layout,
    asked: Asked,
    projector: str | None,
    encoder: str | None,
    device: str,
) -> Outgoing:
    store = FeatureStore.open(features_directory(collection, encoder))
    fingerprint = str(store.meta.get("fingerprint", store.path.name))
    queries, corpora = _judged(collection)
    where = pick_device(device)
    chosen = open_projector(collection, projector, fingerprint).to(where)
    streams = _clip_streams(store)
    step = store.streams[streams[0]].step
    layout = replace(wanted, arch=wanted.arch or _arch(store), length=chosen.segment_length, step=step)
    if layout.path("clip").exists() or layout.path("sidecar").exists():
        raise InvalidInput(f"{layout.root} holds an export already; name an empty directory.")
    check_names([layout.arch], "architecture", store.path)
    shown = [video for video in store.ids() if store.record(video).streams[FRAMES][1]]
    check_names(shown, "video", store.path)
    durations = {video: store.record(video).duration for video in shown}
    for corpus in corpora.values():
        durations |= {video: corpus[video] for video in durations.keys() & corpus.keys()}
    whole = queries.get("train", [])
    train = nearest(whole, layout.top_k, asked.min_similarity)
    if whole and not train:
        raise InvalidInput("No training query has a moment of that similarity; lower --min-similarity.")
    queries |= {"train": train} if whole else {}
    texts = [query.query for rows in queries.values() for query in rows]
    return Outgoing(
        collection=collection,
        layout=layout,
        store=store,
        durations={video: durations[video] for video in sorted(durations)},
        queries=queries,
        corpora=corpora,
        features=encode_queries(collection, fingerprint, encoder_source(store), texts, device),
        projector=chosen,
        device=where,
        streams=streams,
        given_segments=isinstance(chosen, MeanPool) and SEGMENTS in store.streams and projector is None,
        asked=asked,
        cut=train != whole,
    )


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
    return (
        name if name.startswith("CLIP-ViT-") else ARCHITECTURES.get(store.streams[FRAMES].dim, "CLIP-other")
    )


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
