"""`spr eval compare`: two runs on the same truth."""

import json
from pathlib import Path

import click

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
@click.option(
    "--protocol",
    type=click.Choice(["spr", "tvr-ranking"]),
    default="spr",
    show_default=True,
    help="As of `spr eval`.",
)
@click.option(
    "--samples", default=2000, show_default=True, type=click.IntRange(1), help="Resamples, permutations."
)
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Of the resamples.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of tables.")
def command(
    a: Path,
    b: Path,
    also_a: tuple[Path, ...],
    also_b: tuple[Path, ...],
    truth: Path | None,
    stage: str,
    protocol: str,
    samples: int,
    seed: int,
    as_json: bool,
) -> None:
    """Say how much better run B is than run A, and whether that may be chance.

    Both are run files (`spr eval --run-out`) over the same queries; runs over different ones are refused.
    The interval is a paired bootstrap over queries, p a sign-flip permutation test, two-sided; both speak of
    other queries, not of another training seed. Runs of several seeds a side are averaged query by query.

    \b
    spr eval --collection c --truth c/annotations/val.json --run-out a.json
    spr eval compare a.json b.json
    spr eval compare a0.json b0.json --also-a a1.json --also-b b1.json
    spr eval compare a.json b.json --truth c/annotations/val.json --stage coarse --json
    """
    from engine.errors import InvalidInput
    from trainer.collection.annotations import load_queries
    from trainer.evaluation.compare import compare
    from trainer.evaluation.measures import PROTOCOLS
    from trainer.evaluation.runfile import load_about, load_run, truth_of

    sides = (a, *also_a), (b, *also_b)
    if truth is None:
        truth = truth_of(a)
        for path in (*also_a, *sides[1]):
            card = load_about(path).get("truth", {})
            if card.get("sha256") != load_about(a)["truth"]["sha256"]:
                raise InvalidInput(f"{path} does not say that it answers {truth}, as {a} does; give --truth.")
    value = compare(
        [load_run(path) for path in sides[0]],
        [load_run(path) for path in sides[1]],
        load_queries(truth),
        stage=stage,
        protocol=PROTOCOLS[protocol],
        seed=seed,
        samples=samples,
        names=(str(a), str(b)),
    )
    if as_json:
        named = {"files": {"a": list(map(str, sides[0])), "b": list(map(str, sides[1]))}, "truth": str(truth)}
        click.echo(json.dumps({**named, **value}, indent=1))
        return
    from spr_cli.eval_tables import show_comparison

    show_comparison(value, (a.name, b.name))
