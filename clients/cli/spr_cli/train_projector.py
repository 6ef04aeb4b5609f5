"""`spr train projector`: stage 1, the dual projectors of a collection."""

from pathlib import Path
from typing import Unpack

import click

from spr_cli.options import WRITTEN
from spr_cli.train_options import TrainOptions, changes_of, training_options


@click.command()
@click.argument("collection", type=WRITTEN)
@training_options
def command(collection: Path, **options: Unpack[TrainOptions]) -> None:
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

    settings = load_settings(ProjectorSettings, "projector", options["config"], changes_of(options))
    report = train_projector(
        collection,
        settings,
        encoder=options["encoder"],
        resume=options["resume"],
        device=options["device"],
        wandb=options["wandb"],
    )
    if options["as_json"]:
        click.echo(json.dumps(asdict(report), default=str))
        return
    before = report.baseline[report.metric]
    click.echo(f"{report.directory}")
    click.echo(
        f"{report.metric} on val: {report.value:.3f} after {report.step} steps (mean pooling {before:.3f}); "
        f"{report.pairs} pairs, {report.segments} segments, {report.seconds:.0f} s"
    )
