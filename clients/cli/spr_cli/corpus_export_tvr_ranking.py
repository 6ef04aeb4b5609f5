"""`spr corpus export-tvr-ranking`: a collection in the published layout."""

from pathlib import Path
from typing import Any

import click

from spr_cli.options import AS_JSON, COLLECTION, DEVICE, OF_ENCODER, Number, Output


@click.command()
@click.argument("collection", type=COLLECTION)
@click.argument("out", type=Output(file_okay=False))
@click.option("--arch", default="", help="Name of the feature files.  [default: as imported, or by width]")
@click.option(
    "--top-k",
    default=40,
    show_default=True,
    type=click.IntRange(1),
    help="Most similar moments a training query; in the names of training files.",
)
@click.option(
    "--min-similarity",
    default=-1.0,
    show_default=True,
    type=Number(-1, 1),
    help="Of training moments.",
)
@click.option(
    "--all-moments",
    is_flag=True,
    help="Also training moments that leave a batch of 8 without a negative: the published code stops there.",
)
@click.option("--context", default=8, show_default=True, help="Seconds around the training samples.")
@click.option(
    "--projector", help="Fingerprint of the projector for segment features, or none; the current one."
)
@OF_ENCODER
@click.option("--depth", default=200, show_default=True, type=click.IntRange(1), help="Segments retrieved.")
@click.option(
    "--proposals",
    "rule",
    default="adjacent",
    show_default=True,
    help="Rule for coarse predictions and training samples: adjacent, constant:N, adaptive:SHARE, peaks:N.",
)
@click.option("--no-proposals", is_flag=True, help="Retrieve none; write those that were imported.")
@DEVICE
@AS_JSON
def command(collection: Path, out: Path, no_proposals: bool, as_json: bool, **options: Any) -> None:
    """Write COLLECTION into OUT as the published SPR code reads it, with everything that its stage 3 needs.

    Stage 1 and retrieval_eval of that code know encoders of CLIP's widths alone, 512 and 768.

    spr.json and spr_videos.jsonl beside it hold what the layout has no place for; with them an import gives
    the same collection again.

    \b
    Examples:
      spr corpus export-tvr-ranking c out
      spr corpus export-tvr-ranking c out --projector none --no-proposals
      spr corpus export-tvr-ranking c out --top-k 20 --depth 60 --proposals peaks:1
    """
    import json
    from dataclasses import asdict

    from trainer.formats.tvr_export import export_tvr_ranking

    report = export_tvr_ranking(collection, out, proposals=not no_proposals, **options)
    if as_json:
        click.echo(json.dumps(asdict(report)))
        return
    counts = ", ".join(f"{count} {split}" for split, count in report.queries.items())
    click.echo(f"{report.directory}: {report.videos} videos, {report.segments} segments ({report.projector})")
    click.echo(f"queries: {counts}")
    click.echo(f"stage 3: {report.stage3}")
    for note in report.notes:
        click.echo(f"note: {note}")
