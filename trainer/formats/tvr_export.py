"""A collection in the TVR-Ranking layout, complete enough that the published SPR code trains on it."""

from dataclasses import dataclass
from pathlib import Path

from engine.errors import InvalidInput, NotFound
from trainer.annotations import load_corpus, load_queries
from trainer.collection import FRAMES, encoder_source, features_directory
from trainer.formats.layout import ARCHITECTURES, I3D, SEGMENTS, SPLITS, SUBTITLES_BERT, Layout
from trainer.formats.names import check_names
from trainer.formats.tvr_files import (
    Outgoing,
    write_annotations,
    write_features,
    write_kept,
    write_proposals,
    write_queries,
    write_records,
    write_segments,
)
from trainer.formats.verify import check_same_text
from trainer.queries import encode_queries
from trainer.ranker.prepare import open_projector
from trainer.runs import pick_device
from workers.ranker.context import SUBTITLES
from workers.ranker.projector import MeanPool
from workers.store import FeatureStore


@dataclass(frozen=True, slots=True)
class Exported:
    """What went out. segments: of all videos. projector: what made their features."""

    directory: str
    arch: str
    videos: int
    segments: int
    queries: dict[str, int]
    projector: str
    notes: list[str]


def export_tvr_ranking(
    collection: Path,
    out: Path,
    *,
    arch: str = "",
    top_k: int = 40,
    context: int = 8,
    projector: str | None = None,
    encoder: str | None = None,
    proposals: bool = True,
    device: str = "auto",
) -> Exported:
    """Write the layout under `out`, which must not hold one.

    top_k: what training file names say. context: seconds around training samples. projector: a fingerprint,
    "none" for mean pooling, None for the current one. proposals: whether retrieval is run for the coarse
    predictions and training samples that the collection does not keep.
    """
    export = _open(collection, out, arch, top_k, context, projector, encoder, device)
    notes: list[str] = []
    write_features(export)
    segments = write_segments(export)
    write_queries(export)
    write_annotations(export, notes)
    write_kept(export)
    if proposals:
        write_proposals(export, notes)
    unseen = len(export.store.ids()) - len(export.durations)
    if unseen:
        notes.append(f"{unseen} videos without a frame were left out")
    write_records(export)
    made = "given" if export.given_segments else type(export.projector).__name__
    return Exported(
        directory=str(out),
        arch=export.layout.arch,
        videos=len(export.durations),
        segments=segments,
        queries={split: len(queries) for split, queries in export.queries.items()},
        projector=made,
        notes=notes,
    )


def _open(
    collection: Path,
    out: Path,
    arch: str,
    top_k: int,
    context: int,
    projector: str | None,
    encoder: str | None,
    device: str,
) -> Outgoing:
    store = FeatureStore.open(features_directory(collection, encoder))
    fingerprint = str(store.meta.get("fingerprint", store.path.name))
    annotations = collection / "annotations"
    queries = {
        split: load_queries(annotations / f"{split}.json")
        for split in SPLITS
        if (annotations / f"{split}.json").is_file()
    }
    if not queries:
        raise NotFound(f"{annotations} holds no judged queries; bring some in with: spr corpus annotate")
    check_same_text(queries)
    corpora = {split: load_corpus(annotations / f"corpus_{split}.json") for split in queries}
    where = pick_device(device)
    chosen = open_projector(collection, projector, fingerprint).to(where)
    streams = _clip_streams(store)
    layout = Layout(
        out,
        arch=arch or _arch(store),
        top_k=top_k,
        length=chosen.segment_length,
        context=context,
        step=store.streams[streams[0]].step,
    )
    if layout.path("clip").exists() or layout.path("sidecar").exists():
        raise InvalidInput(f"{out} holds an export already; name an empty directory.")
    check_names([layout.arch], "architecture", store.path)
    shown = [video for video in store.ids() if store.record(video).streams[FRAMES][1]]
    check_names(shown, "video", store.path)
    durations = {video: store.record(video).duration for video in shown}
    for corpus in corpora.values():
        durations |= {video: corpus[video] for video in durations.keys() & corpus.keys()}
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
    )


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
