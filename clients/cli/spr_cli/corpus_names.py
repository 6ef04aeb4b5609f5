"""`spr corpus names`: what names a collection has."""

from pathlib import Path

import click

from spr_cli.options import AS_JSON, COLLECTION, WORDS


@click.command()
@click.option("--collection", required=True, type=COLLECTION)
@click.option("--remove", multiple=True, type=WORDS, metavar="@NAME", help="Remove this name; repeatable.")
@AS_JSON
def command(collection: Path, remove: tuple[str, ...], as_json: bool) -> None:
    """List the names that pictures were given with `spr corpus name`, or remove some.

    \b
    spr corpus names --collection c
    spr corpus names --collection c --remove @anna
    """
    from engine import names, versions
    from spr_cli.output import print_json, print_table

    if remove:
        from trainer.collection.naming import take_name

        for name in remove:
            take_name(collection, name)
    there = sorted(names.read(collection).names.items())
    now = versions.read(collection).features
    if as_json:
        print_json(
            {"names": [{"name": n, "pictures": e.pictures, "usable": e.encoder == now} for n, e in there]}
        )
        return
    rows = [
        (f"@{n}", str(e.pictures), "" if e.encoder == now else "of another encoder: name it again")
        for n, e in there
    ]
    if rows:
        print_table(("name", "pictures", ""), rows, right=("pictures",))
    else:
        click.echo("no names; give one with `spr corpus name @NAME PICTURE...`")
