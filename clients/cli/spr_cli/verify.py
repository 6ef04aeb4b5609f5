"""`spr verify`: check every byte of a collection."""

import sys
from pathlib import Path

import click

from spr_cli.options import AS_JSON, COLLECTION


@click.command()
@click.argument("collection", type=COLLECTION)
@AS_JSON
def command(collection: Path, as_json: bool) -> None:
    """Check every byte of every version, part, model and feature of COLLECTION.

    The exit code is 0 when all is whole, 3 when something is damaged or missing, which is named.

    \b
    spr verify c
    """
    from engine import versions
    from engine.errors import Mismatch
    from spr_cli.output import print_json
    from spr_cli.progress import Progress
    from trainer.library.verify import verify

    with Progress(as_json) as progress:
        said = verify(collection, progress.tell)
    if as_json:
        print_json({"collection": str(collection), "damaged": said})
    else:
        for line in said:
            click.echo(line, err=True)
        if not said:
            click.echo(
                f"{collection} is whole: {len(versions.numbers(collection))} versions, every byte checked"
            )
    if said:
        sys.exit(Mismatch("").exit_code)
