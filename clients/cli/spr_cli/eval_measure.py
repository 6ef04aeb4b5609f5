"""`spr eval`: how good the answers are."""

import json
import sys
from pathlib import Path
from typing import Any

import click

from spr_cli.options import ADDRESS, ENGINE, SECONDS, Number, Output, access, check_apart, protocol
from spr_cli.search_evidence import where

FILE, OUT = click.Path(path_type=Path, dir_okay=False), Output(dir_okay=False)


@click.command()
@click.argument("files", nargs=-1, type=FILE)
@click.option("--address", type=ADDRESS, help="Ask the service at HOST:PORT every query of --truth.")
@click.option(
    "--collection",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Ask the active version of a collection, in this process, without a service.",
)
@click.option(
    "--version", default="", help="Id or number of a version of --collection.  [default: the active one]"
)
@ENGINE
@click.option("--truth", type=FILE, help="Judged queries (val.json, test.json) to ask.")
@click.option(
    "--corpus", type=FILE, help="Videos and seconds, for the chance level.  [default: beside the truth]"
)
@click.option("--out", type=OUT, help="Write the report as JSON.")
@click.option("--plot", type=OUT, help="Write the report as a PNG chart.")
@click.option("--reliability", type=OUT, help="Draw confidence against truth as PNG, where moments carry it.")
@click.option(
    "--html", type=OUT, help="Write the report as a page: all queries, and where the worst go wrong."
)
@click.option("--run-out", type=OUT, help="Write the answers as a run file, to be measured again.")
@click.option("--json", "as_json", is_flag=True, help="Print the report on stdout instead of the table.")
@protocol(
    "spr: IoU >=, irrelevant moments left out; tvr-ranking: IoU >, they stay; gmr: as spr, and how well "
    "queries without an answer are rejected and those with several answered.",
    "gmr",
)
@click.option(
    "--absent",
    type=click.Choice(["zero", "skip"]),
    default="zero",
    show_default=True,
    help="What queries without an answer count as; skip is the published mean.",
)
@where
@click.option("--segment-top-k", type=click.IntRange(1), help="Segments retrieved a query.  [default: 200]")
@click.option("--proposals", help="adjacent, constant:N, adaptive:SHARE or peaks:N.  [default: peaks:1]")
@click.option(
    "--segment-length",
    type=Number(0, 3600, min_open=True),
    help="Seconds.  [default: the collection's, else 4]",
)
@click.option("--in-flight", default=4, show_default=True, type=click.IntRange(1), help="Queries at once.")
@click.option("--timeout", type=SECONDS, default=30.0, show_default=True, help="Seconds a query may take.")
@click.option(
    "--reach",
    type=Number(min=0),
    help="Seconds around a proposal that a ranker sees, for the ceiling.",
)
@click.option(
    "--bootstrap", default=2000, show_default=True, type=click.IntRange(1), help="Resamples of an interval."
)
@click.option("--limit", type=click.IntRange(1), help="Only the first N queries.")
@access
@click.option("--seed", default=0, show_default=True, help="Of chance level and intervals.")
def command(files: tuple[Path, ...], as_json: bool, **options: Any) -> None:
    """Measure how good the answers are, against judged queries.

    With --address every query is asked of a running service; with --collection, of its active version in
    this process, by exact search; otherwise FILES are a run file and the truth (which a run file written by
    --run-out names itself). Coarse proposals and refined moments are measured side by side, between what
    blind guessing reaches and the ceiling, what perfect ranking would make of the proposals. A query without
    an answer counts as zero. `spr eval compare A.json B.json` says which of two runs is better.

    Exit code: 0 when every query was answered, 1 when some failed (they are in the report).

    \b
    spr eval --address localhost:7400 --truth c/annotations/test.json --out report.json --plot report.png
    spr eval --collection c --truth c/annotations/val.json --run-out a.json
    spr eval a.json --html a.html
    spr eval run.json c/annotations/test.json --json
    spr eval --collection c --truth c/annotations/val.json --in said --in written
    spr eval --collection c --truth c/annotations/val.json --protocol gmr
    spr eval test_coarse_proposals.json test.json --protocol tvr-ranking
    spr eval moment_detr_predictions.jsonl c/annotations/val.json
    """
    from trainer.evaluation.evaluation import EvalConfig, run_evaluation

    _name_source(files, options)
    written = {name: options[name] for name in ("out", "plot", "reliability", "html", "run_out")}
    check_apart(_read(options), written)
    found = run_evaluation(EvalConfig(**options))
    if as_json:
        click.echo(json.dumps(found.report.to_json(), indent=1))
    else:
        from spr_cli.eval_tables import show

        show(found.report.to_json())
    for query_id, message in found.failures.items():
        click.echo(f"spr: query {query_id} failed and counts as zero: {message}", err=True)
    if found.failures:
        sys.exit(1)


def _name_source(files: tuple[Path, ...], options: dict[str, Any]) -> None:
    """Put what FILES are into the options; UsageError unless there is one source of answers and a truth."""
    asked = bool(options["address"]) + bool(options["collection"])
    if options["engine"] != "local" and not options["collection"]:
        raise click.UsageError("--engine ray answers queries of a --collection; give one, or leave it out.")
    named = [*files, *([options["truth"]] if options["truth"] else [])]
    if asked == 1 and options["truth"] and not files:
        return
    if asked or not files or len(named) > 2:
        raise click.UsageError(
            "Give --address HOST:PORT or --collection DIR with --truth FILE, or two files: "
            "RUN.json TRUTH.json."
        )
    options["run"] = files[0]
    options["truth"] = named[1] if len(named) == 2 else None


def _read(options: dict[str, Any]) -> list[Path | None]:
    """Return the files that are read, also those that are named by others."""
    from trainer.evaluation.chance import corpus_file
    from trainer.evaluation.runfile import truth_of

    truth = options["truth"] or truth_of(options["run"])
    return [options.get("run"), truth, options["corpus"] or corpus_file(truth)]
