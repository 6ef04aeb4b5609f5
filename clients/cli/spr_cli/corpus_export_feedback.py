"""`spr corpus export-feedback`: what people judged as training data."""

from pathlib import Path

import click

from spr_cli.options import AS_JSON, COLLECTION, Output


@click.command()
@click.argument("collection", type=COLLECTION)
@click.argument("out", type=Output(file_okay=False))
@AS_JSON
def command(collection: Path, out: Path, as_json: bool) -> None:
    """Write the judgements of COLLECTION into OUT, as `spr corpus annotate` and `spr eval` read them.

    The latest judgement of a person counts, and of several persons the median. Queries are dealt to train,
    val and test, 3 to 1 to 1, by their words alone: a query stays where it is.

    \b
    spr corpus export-feedback c judged
    spr corpus annotate judged --collection c
    """
    import json

    from trainer.formats.feedback import export_feedback

    counts = export_feedback(collection, out)
    if as_json:
        click.echo(json.dumps(counts))
        return
    for split, (queries, moments) in counts.items():
        click.echo(f"{split}: {queries} queries, {moments} judged moments")
