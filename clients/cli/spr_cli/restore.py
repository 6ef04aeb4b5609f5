"""`spr restore`: bring a snapshot back."""

from pathlib import Path

import click

from spr_cli.options import AS_JSON


@click.command()
@click.argument("source")
@click.argument("collection", type=click.Path(file_okay=False, path_type=Path))
@click.option("--version", default="", help="Id or number. [default: the snapshot's current one]")
@AS_JSON
def command(source: str, collection: Path, version: str, as_json: bool) -> None:
    """Bring a version back from SOURCE, which `spr snapshot` wrote, and make it current in COLLECTION.

    Parts that COLLECTION has whole are not copied, damaged ones are replaced. An interrupted restore changes
    nothing and goes on when it is run again.

    \b
    spr restore /backup/c c
    spr restore s3://bucket/c c --version 41
    """
    from engine.files import make_folder
    from engine.version_lock import only_writer
    from spr_cli.output import print_json
    from spr_cli.progress import Progress
    from trainer.library.restore import restore

    make_folder(collection)
    with Progress(as_json) as progress, only_writer(collection, "restore"):
        found, copied = restore(collection, source, version, progress.tell)
    if as_json:
        print_json({"version": found.id, "source": source, "videos": found.videos, "copied": copied})
    else:
        click.echo(f"version {found.id} is current: {found.videos} videos, {copied / 1e6:.1f} MB copied")
