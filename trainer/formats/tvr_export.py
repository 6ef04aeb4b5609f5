"""A collection in the TVR-Ranking layout, complete enough that the published SPR code trains on it."""

import math
from dataclasses import dataclass
from pathlib import Path

from engine.proposals import ProposalRule
from trainer.collection.places import FRAMES
from trainer.formats.layout import ARCHITECTURES, Layout
from trainer.formats.outgoing import ExportOptions, Outgoing, open_export
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
    all_moments: bool = False,
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
    all_moments: also those that would leave some batches of the published training without a negative.
    context: seconds around training samples. projector: a fingerprint, "none" for mean pooling, None for the
    current one. proposals: whether retrieval is run for the coarse predictions and training samples that the
    collection does not keep: of `depth` segments, by the proposal rule `rule`.
    """
    layout = Layout(out, arch=arch, top_k=top_k, context=context)
    options = ExportOptions(min_similarity, depth, ProposalRule.parse(rule), all_moments)
    export = open_export(collection, layout, options, projector, encoder, device)
    notes: list[str] = []
    segments = _write(export, notes, proposals)
    return Exported(
        directory=str(out),
        arch=export.layout.arch,
        videos=len(export.durations),
        segments=segments,
        queries={split: len(queries) for split, queries in export.queries.items()},
        projector="given" if export.given_segments else type(export.projector).__name__,
        stage3=_stage3(export),
        notes=notes,
    )


def _write(export: Outgoing, notes: list[str], proposals: bool) -> int:
    """Write all files and return the number of segments; the records come last, they say it is whole."""
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
    return segments


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
    if export.about_cut:
        notes.append(export.about_cut)


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
