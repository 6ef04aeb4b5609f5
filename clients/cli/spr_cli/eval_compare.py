"""`spr eval compare`: two runs on the same truth."""

import json
from pathlib import Path
from typing import Any

import click

from spr_cli.options import Output, check_apart, protocol

FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("a", type=FILE)
@click.argument("b", type=FILE)
@click.option("--also-a", multiple=True, type=FILE, help="A run of A's kind, as of another seed; repeatable.")
@click.option("--also-b", multiple=True, type=FILE, help="A run of B's kind; repeatable.")
@click.option("--truth", type=FILE, help="Judged queries.  [default: what the runs say they answer]")
@click.option(
    "--stage",
    type=click.Choice(["retrieval", "coarse", "refined"]),
    default="refined",
    show_default=True,
    help="What of the runs to compare.",
)
@protocol("As of `spr eval`.")
@click.option(
    "--samples", default=2000, show_default=True, type=click.IntRange(1), help="Resamples, permutations."
)
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Of the resamples.")
@click.option(
    "--html",
    type=Output(dir_okay=False),
    help="Write the comparison as a page: what B wins and loses, query by query.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of tables.")
def command(
    a: Path, b: Path, also_a: tuple[Path, ...], also_b: tuple[Path, ...], as_json: bool, **options: Any
) -> None:
    """Say how much better run B is than run A, and whether that may be chance.

    Both are run files (`spr eval --run-out`) over the same queries; runs over different ones are refused.
    The interval is a paired bootstrap over queries, p a sign-flip permutation test, two-sided; both speak of
    other queries, not of another training seed. Runs of several seeds a side are averaged query by query.

    \b
    spr eval --collection c --truth c/annotations/val.json --run-out a.json
    spr eval compare a.json b.json --html difference.html
    spr eval compare a0.json b0.json --also-a a1.json --also-b b1.json
    spr eval compare a.json b.json --truth c/annotations/val.json --stage coarse --json
    """
    from trainer.evaluation.chance import corpus_file
    from trainer.evaluation.compare import compare_files
    from trainer.evaluation.runfile import truth_of

    truth = options["truth"] or truth_of(a)
    check_apart([a, b, *also_a, *also_b, truth, corpus_file(truth)], {"html": options["html"]})
    value = compare_files((a, *also_a), (b, *also_b), **options)
    if as_json:
        click.echo(json.dumps(value, indent=1))
        return
    from spr_cli.eval_tables import show_comparison

    show_comparison(value, (a.name, b.name))
