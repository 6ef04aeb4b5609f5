"""`spr snapshot`: copy a version and all that it needs to another place."""

from pathlib import Path

import click

from spr_cli.options import AS_JSON, COLLECTION


@click.command()
@click.argument("collection", type=COLLECTION)
@click.argument("destination")
@click.option("--version", default="", help="Id or number. [default: the current one]")
@AS_JSON
def command(collection: Path, destination: str, version: str, as_json: bool) -> None:
    """Copy a version of COLLECTION, and all that it needs, to DESTINATION: a directory or an fsspec URL.

    Only what is missing there is copied. On one disk files share their bytes (hard links), which helps
    against deletion, not against damage. The service may run meanwhile. A snapshot is a collection: it can be
    served as it is, by `spr serve --collection DESTINATION`.

    \b
    spr snapshot c /backup/c
    spr snapshot c s3://bucket/c --version 41
    """
    from spr_cli.output import print_json
    from spr_cli.progress import Progress
    from trainer.library.snapshot import snapshot

    with Progress(as_json) as progress:
        made, copied = snapshot(collection, destination, version, progress.tell)
    if as_json:
        print_json({"version": made.id, "destination": destination, "videos": made.videos, "copied": copied})
    else:
        click.echo(
            f"version {made.id} is in {destination}: {made.videos} videos, {copied / 1e6:.1f} MB copied"
        )
