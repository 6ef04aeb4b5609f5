"""`spr compact`: few large parts in place of many small ones."""

from pathlib import Path

import click

from spr_cli.options import AS_JSON, COLLECTION


@click.command()
@click.argument("collection", type=COLLECTION)
@click.option("--shard", default="", help="Only this one, such as shard-00000. [default: all]")
@AS_JSON
def command(collection: Path, shard: str, as_json: bool) -> None:
    """Merge the parts of every shard of COLLECTION into one, and leave deleted videos out.

    Answers stay as they are, searches become faster. Old parts leave the disk with `spr gc`. With a service
    that has a library this happens by itself.

    \b
    spr compact c
    spr compact c --shard shard-00002
    """
    from engine import versions
    from engine.errors import NotFound
    from engine.version_lock import only_writer
    from spr_cli.output import print_json
    from spr_cli.progress import Progress
    from trainer.library.compacting import compact

    with only_writer(collection, "compact"):
        there = [one.name for one in versions.read(collection).shards]
        if shard and shard not in there:
            raise NotFound(f"{collection} has no shard '{shard}'; there are: {', '.join(there)}.")
        with Progress(as_json) as progress:
            change = compact(collection, shard, on_progress=progress.tell)
    if as_json:
        print_json({"version": change.version, "parts": change.parts})
    elif change.parts:
        click.echo(f"merged {change.parts} parts: version {change.version}")
    else:
        click.echo(f"nothing to merge in version {change.version}")
