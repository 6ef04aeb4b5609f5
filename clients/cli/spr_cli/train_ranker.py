"""`spr train ranker`: stage 3, the ReLo ranker of a collection."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from trainer.ranker.training import Report


@click.command()
@click.argument("collection", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--config",
    default="demo",
    show_default=True,
    help="demo, tvr-ranking-base, tvr-ranking-large, or a TOML file.",
)
@click.option("--projector", help="Fingerprint of the projector that proposes, or none; the current one.")
@click.option("--encoder", help="Fingerprint of the features' encoder, where there are several.")
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="Change a setting; repeatable.")
@click.option(
    "--resume/--restart",
    default=None,
    help="Go on with an interrupted training, or throw it away.  [default: go on if the settings agree]",
)
@click.option("--seed", type=int, help="Seed; the config's by default.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")
@click.option("--wandb", is_flag=True, help="Log to Weights & Biases too.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
def command(
    collection: Path,
    config: str,
    projector: str | None,
    encoder: str | None,
    changes: tuple[str, ...],
    resume: bool | None,
    seed: int | None,
    device: str,
    wandb: bool,
    as_json: bool,
) -> None:
    """Train the ranker of COLLECTION on its annotations and what its projector retrieves.

    The model with the largest val NDCG at IoU>=0.7 is kept in COLLECTION/models/ranker, with its logs and a
    plot, and becomes the one that `spr build` takes.

    \b
    Examples:
      spr train ranker c
      spr train ranker c --config tvr-ranking-large --set batch=64 --set loss.boundary=0.1
      spr train ranker c --projector none
      spr train ranker c --restart
    """
    import json
    from dataclasses import asdict

    from trainer.ranker.settings import RankerSettings
    from trainer.ranker.training import train_ranker
    from trainer.runs.settings import load_settings

    if seed is not None:
        changes = (*changes, f"seed={seed}")
    settings = load_settings(RankerSettings, "ranker", config, changes)
    report = train_ranker(
        collection,
        settings,
        projector=projector,
        encoder=encoder,
        resume=resume,
        device=device,
        wandb=wandb,
    )
    if as_json:
        click.echo(json.dumps(asdict(report), default=str))
        return
    click.echo(f"{report.directory}")
    for name in ("NDCG@10,IoU>=0.5", "NDCG@10,IoU>=0.7"):
        click.echo(f"{name} on val: coarse {report.coarse[name]:.3f}, refined {report.refined[name]:.3f}")
    click.echo(
        f"val: {report.val_depth} of {report.val_segments} segments retrieved a query{_unlike(report)}"
    )
    click.echo(
        f"best after {report.step} steps; {report.pairs} pairs, {report.mined:.0%} with retrieved proposals, "
        f"{report.dropped} without features; {report.seconds:.0f} s"
    )


def _unlike(report: Report) -> str:
    """Return what sets the figures apart from those of `spr eval`, where something does."""
    from engine.queries import SearchOptions

    usual = min(SearchOptions().segment_top_k, report.val_segments)
    if report.val_depth == usual:
        return ""
    return f"; a search retrieves {usual}, so `spr eval` on val differs"
