"""`spr train projector`: stage 1, the dual projectors of a collection."""

from pathlib import Path

import click


@click.command()
@click.argument("collection", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--config",
    default="demo",
    show_default=True,
    help="demo, tvr-ranking-base, tvr-ranking-large, or a TOML file.",
)
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
    encoder: str | None,
    changes: tuple[str, ...],
    resume: bool | None,
    seed: int | None,
    device: str,
    wandb: bool,
    as_json: bool,
) -> None:
    """Train query and segment projectors on the features and annotations of COLLECTION.

    Reads features/ and annotations/{train,val,corpus_val}.json; writes models/projector/<fingerprint>/ with
    the model of the best validation recall, its record, TensorBoard events and a plot, and makes it current.

    \b
    spr train projector c
    spr train projector c --config tvr-ranking-large --set lr=1e-4 --set batch=512
    spr train projector c --restart
    """
    import json
    from dataclasses import asdict

    from trainer.projector.settings import ProjectorSettings
    from trainer.projector.training import train_projector
    from trainer.runs.settings import load_settings

    if seed is not None:
        changes = (*changes, f"seed={seed}")
    settings = load_settings(ProjectorSettings, "projector", config, changes)
    report = train_projector(collection, settings, encoder=encoder, resume=resume, device=device, wandb=wandb)
    if as_json:
        click.echo(json.dumps(asdict(report), default=str))
        return
    before = report.baseline[report.metric]
    click.echo(f"{report.directory}")
    click.echo(
        f"{report.metric} on val: {report.value:.3f} after {report.step} steps (mean pooling {before:.3f}); "
        f"{report.pairs} pairs, {report.segments} segments, {report.seconds:.0f} s"
    )
