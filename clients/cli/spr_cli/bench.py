"""`spr bench`: what each stage costs on this machine, beside the published way and the floor."""

from pathlib import Path
from typing import Any

import click

from spr_cli.options import Output


@click.command()
@click.argument("stages", nargs=-1, metavar="[STAGE]...")
@click.option("--quick", is_flag=True, help="Less of all: a quarter of the corpus, fewer runs, no IVFPQ.")
@click.option(
    "--threads", type=click.IntRange(1), default=2, show_default=True, help="Of stages that use many."
)
@click.option(
    "--out",
    type=Output(file_okay=False, beside=True),
    help="Write bench.json, the plots and stages.md here, and a page that shows them beside it: OUT.md.",
)
@click.option(
    "--cache",
    type=Output(file_okay=False),
    default=Path("build/bench"),
    show_default=True,
    help="Where the corpus and the models are kept; 8 GB, 6 GB more while `living` runs.",
)
@click.option("--sizes", type=click.Choice(["full", "quick", "tiny"]), hidden=True)
@click.option(
    "--report",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Measure nothing: show this bench.json, or write its plots and pages anew with --out.",
)
@click.option(
    "--against",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Compare with this bench.json by ratios to the floor; exit code 1 beyond a factor of 1.5.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a table.")
def command(
    stages: tuple[str, ...],
    quick: bool,
    threads: int,
    out: Path | None,
    cache: Path,
    sizes: str | None,
    report: Path | None,
    against: Path | None,
    as_json: bool,
) -> None:
    """Time stages of a search on a corpus of the published shape, all of them when no STAGE is named.

    Stages: floor, proposals, ndcg, index, peers, words, rank, contexts, encode, ingest, search, load,
    overload, living, scale; peers takes five minutes where its libraries are installed.

    \b
    spr bench                          everything, 25 minutes on two cores, ten more at first
    spr bench --quick                  a quarter of the corpus, under 3 minutes on two free cores
    spr bench index rank --json
    spr bench --out docs/performance   everything, and the page with its plots
    spr bench search --against docs/performance/bench.json
    """
    from bench import results, run
    from bench.registry import check
    from bench.sizes import named

    before = None if against is None else results.read(against)
    # What is compared is compared by the floor.
    wanted = check(("floor", *stages) if before and stages else stages)
    if report is not None:
        found = results.read(report)
    else:
        found = run.run(wanted, named(sizes or ("quick" if quick else "full")), cache, threads, _tell)
    if out is not None:
        run.save(found, out)
    _end(found, before, as_json)


def _end(found: dict[str, Any], before: dict[str, Any] | None, as_json: bool) -> None:
    """Show a run; exit code 1 where a stage failed or is slower than `before` allows."""
    import dataclasses
    import json

    from bench.against import changes

    compared = changes(found, before) if before else []
    if as_json:
        told = {"against": [dataclasses.asdict(one) for one in compared]} if before else {}
        click.echo(json.dumps({**found, **told}))
    else:
        _print(found)
    worse = [one for one in compared if one.worse]
    for one in worse:
        click.echo(f"spr: {one}", err=True)
    if worse or any(not stage["rows"] for stage in found["stages"].values()):
        raise click.exceptions.Exit(1)


def _tell(stage: str, seconds: float) -> None:
    click.echo(f"{stage}: {seconds:.0f} s" if seconds else f"{stage} ...", err=True)


def _print(report: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    from bench.page import summary
    from bench.targets import TARGETS, number

    console = Console()
    for stage, found in report["stages"].items():
        table = Table("", "way", "figure", "besides", title=f"{stage}, {found['threads']} threads")
        for row in found["rows"]:
            besides = ", ".join(
                f"{name} {number(value) if isinstance(value, float | int) else value}"
                for name, value in row["more"].items()
            )
            table.add_row(row["label"], row["way"], f"{number(row['value'])} {row['unit']}", besides)
        console.print(table, *(f"  {note}" for note in found["notes"]), sep="\n")
    table = Table("what", "reach", "measured", "met", title="Targets")
    for target in TARGETS:
        if any(goal.stage in report["stages"] for goal in target.goals):
            table.add_row(target.what, *summary(report, target))
    console.print(table)
    if report["sizes"] != "full":
        console.print(f"  Sizes: {report['sizes']}. The targets are meant for full runs.")
