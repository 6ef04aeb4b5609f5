"""`spr gc`: remove versions that are not kept, and what no version lists."""

from pathlib import Path

import click

from spr_cli.options import AS_JSON, COLLECTION


@click.command()
@click.argument("collection", type=COLLECTION)
@click.option(
    "--keep", type=click.IntRange(min=0), default=10, show_default=True, help="Versions beside the current."
)
@AS_JSON
def command(collection: Path, keep: int, as_json: bool) -> None:
    """Remove old versions of COLLECTION, and the parts that no version lists.

    The current version, the newest and those that a process serves, measures or copies stay.

    \b
    spr gc c --keep 3
    """
    from engine.version_lock import only_writer
    from spr_cli.output import print_json
    from trainer.generation.garbage import collect_garbage

    with only_writer(collection, "gc"):
        removed = collect_garbage(collection, 1 + keep)
    for held in removed.held:
        click.echo(f"note: version {held} is still used, so it stays", err=True)
    if as_json:
        told = {"versions": removed.versions, "held": removed.held, "parts": removed.parts}
        print_json(told | {"bytes": removed.bytes})
    else:
        counts = f"{len(removed.versions)} versions and {len(removed.parts)} parts"
        click.echo(f"removed {counts}, {removed.bytes / 1e6:.1f} MB")
