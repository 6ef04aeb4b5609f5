"""`spr migrate`: a collection of the format before becomes one of versions and parts."""

from pathlib import Path

import click

from spr_cli.options import AS_JSON, COLLECTION


@click.command()
@click.argument("collection", type=COLLECTION)
@click.option("--keep-old", is_flag=True, help="Leave generations/ where it is.")
@AS_JSON
def command(collection: Path, keep_old: bool, as_json: bool) -> None:
    """Make a version of the generation of COLLECTION, its format before, and serve that; nothing is built.

    Index files are linked, so it takes seconds. generations/ is removed when the version is current. A
    migration that is killed leaves what is served; the same command goes on.

    \b
    spr migrate c
    spr migrate c --keep-old
    """
    import json
    from dataclasses import asdict

    from trainer.generation.migrate import migrate

    report = migrate(collection, keep_old=keep_old)
    for note in report.notes:
        click.echo(f"note: {note}", err=True)
    if as_json:
        click.echo(json.dumps(asdict(report)))
        return
    what = f"version {report.number} ({report.id}) of {collection}"
    if not report.migrated:
        click.echo(f"{what} is current: nothing to migrate")
        return
    click.echo(f"{what}: {report.videos} videos in {len(report.parts)} parts, in {report.seconds:.1f} s")
    if report.removed:
        click.echo(f"removed {collection / 'generations'}")
