"""`spr eval standing`: the precision that standing searches reach."""

import dataclasses
from pathlib import Path

import click

from spr_cli.options import AS_JSON, DEVICE, Number


@click.command()
@click.option(
    "--collection",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    required=True,
    help="Its current version is judged.",
)
@click.option(
    "--truth", type=click.Path(path_type=Path, dir_okay=False), required=True, help="Judged queries to ask."
)
@click.option(
    "--precision",
    "precisions",
    multiple=True,
    type=Number(0, 1, min_open=True),
    default=(0.5, 0.7, 0.9),
    show_default=True,
    help="What is asked for; repeatable.",
)
@DEVICE
@AS_JSON
def command(collection: Path, truth: Path, precisions: tuple[float, ...], device: str, as_json: bool) -> None:
    """Judge every video of a collection alone by every judged query, as standing searches do.

    Says for each asked precision which confidence that is, how many moments match, how many of them are
    right, and how many of the right ones are found.

    \b
    spr eval standing --collection c --truth c/annotations/test.json
    """
    from spr_cli.output import print_json, print_table
    from trainer.collection.annotations import load_queries
    from trainer.evaluation.offline import Offline
    from trainer.evaluation.standing import reached

    queries = load_queries(truth)
    found = reached(Offline.open(collection, device=device), queries, precisions)
    if as_json:
        print_json([dataclasses.asdict(one) for one in found])
        return
    rows = (
        (f"{r.asked:g}", f"{r.threshold:.3f}", str(r.matches), f"{r.precision:.3f}", f"{r.found:.3f}")
        for r in found
    )
    headings = ("asked", "confidence", "matches", "precision", "found")
    print_table(headings, rows, right=headings)
