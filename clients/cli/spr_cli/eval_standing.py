"""`spr eval standing`: the precision that standing searches reach."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import click

from spr_cli.options import AS_JSON, DEVICE, Number

if TYPE_CHECKING:
    from trainer.evaluation.standing import Reached

HEADINGS = ("asked", "confidence", "matches", "precision", "at least", "found")


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

    Says for each asked precision which confidence that is, how many moments match, the share of them that is
    right, the least it is with 95 % certainty, and the share of the right moments that is found. Rankers
    promise no precision that their own validation does not support.

    \b
    spr eval standing --collection c --truth c/annotations/test.json
    """
    from engine.version_lock import held_as
    from spr_cli.output import print_json, print_table
    from trainer.evaluation.judged import load_judged
    from trainer.evaluation.offline import Offline
    from trainer.evaluation.standing import reached

    queries = load_judged(truth)
    with held_as(collection) as version:
        found = reached(Offline.open(collection, version, device), queries, precisions)
    if as_json:
        print_json([dataclasses.asdict(one) for one in found])
        return
    print_table(HEADINGS, map(_row, found), right=HEADINGS)
    if refused := [f"{one.asked:g}" for one in found if one.threshold is None]:
        click.echo(f"not promised by this ranker: {', '.join(refused)} (docs/standing.md says when it is)")


def _row(one: "Reached") -> tuple[str, ...]:
    shares = (one.precision, one.low, one.found)
    sure = "" if one.threshold is None else f"{one.threshold:.3f}"
    told = ("" if share is None else f"{share:.3f}" for share in shares)
    return (f"{one.asked:g}", sure, str(one.matches), *told)
