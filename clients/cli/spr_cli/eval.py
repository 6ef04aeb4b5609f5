"""`spr eval`: how good the answers are."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.table import Table

    from trainer.evaluation.service import Collected

FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("files", nargs=-1, type=FILE)
@click.option("--address", help="Ask the service at HOST:PORT every query of --truth.")
@click.option(
    "--collection",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Ask the active generation of a collection, in this process, without a service.",
)
@click.option("--truth", type=FILE, help="Judged queries (val.json, test.json) to ask.")
@click.option(
    "--corpus", type=FILE, help="Videos and seconds, for the chance level.  [default: beside the truth]"
)
@click.option("--out", type=FILE, help="Write the report as JSON.")
@click.option("--plot", type=FILE, help="Write the report as a PNG chart.")
@click.option("--run-out", type=FILE, help="Write the answers as a run file, to be measured again.")
@click.option("--json", "as_json", is_flag=True, help="Print the report on stdout instead of the table.")
@click.option(
    "--protocol",
    type=click.Choice(["spr", "tvr-ranking"]),
    default="spr",
    show_default=True,
    help="spr: IoU >=, irrelevant moments left out; tvr-ranking: IoU >, they stay.",
)
@click.option(
    "--absent",
    type=click.Choice(["zero", "skip"]),
    default="zero",
    show_default=True,
    help="What queries without an answer count as; skip is the published mean.",
)
@click.option("--segment-top-k", type=click.IntRange(1), help="Segments retrieved a query.  [default: 200]")
@click.option("--segment-length", type=float, help="Seconds.  [default: the collection's, else 4]")
@click.option("--in-flight", default=4, show_default=True, type=click.IntRange(1), help="Queries at once.")
@click.option("--timeout", default=30.0, show_default=True, help="Seconds a query may take.")
@click.option("--limit", type=click.IntRange(1), help="Only the first N queries.")
@click.option("--seed", default=0, show_default=True, help="Of the chance level.")
def command(
    files: tuple[Path, ...],
    address: str | None,
    collection: Path | None,
    truth: Path | None,
    corpus: Path | None,
    out: Path | None,
    plot: Path | None,
    run_out: Path | None,
    as_json: bool,
    protocol: str,
    absent: Any,
    segment_top_k: int | None,
    segment_length: float | None,
    in_flight: int,
    timeout: float,
    limit: int | None,
    seed: int,
) -> None:
    """Measure how good the answers are, against judged queries.

    With --address every query is asked of a running service; with --collection, of its active generation in
    this process, by exact search; otherwise FILES are a run file and the truth. Coarse proposals and refined
    moments are measured side by side, beside what blind guessing reaches. A query without an answer counts
    as zero.

    Exit code: 0 when every query was answered, 1 when some failed (they are in the report).

    \b
    spr eval --address localhost:7400 --truth c/annotations/test.json --out report.json --plot report.png
    spr eval --collection c --truth c/annotations/test.json
    spr eval run.json c/annotations/test.json --json
    spr eval test_coarse_proposals.json test.json --protocol tvr-ranking
    spr eval moment_detr_predictions.jsonl c/annotations/val.json
    """
    from engine.files import write_json
    from trainer.annotations import load_corpus, load_queries
    from trainer.evaluation.report import report
    from trainer.evaluation.runfile import load_run, save_run
    from trainer.measures import PROTOCOLS

    run_file, truth = _sources(files, address, collection, truth)
    queries = load_queries(truth)[:limit]
    corpus = corpus or truth.with_name(f"corpus_{truth.name}")
    asked: Collected | None = None
    facts: dict[str, Any] = {}
    if address:
        asked = _ask(address, queries, segment_top_k, in_flight, timeout)
        run, facts = asked.run, asked.facts()
    elif collection:
        run, facts = _search(collection, queries, segment_top_k)
    else:
        run = load_run(run_file)
    value = report(
        run,
        queries,
        corpus=load_corpus(corpus) if corpus.is_file() else None,
        segment_length=segment_length or facts.get("segment_length", 4.0),
        protocol=PROTOCOLS[protocol],
        absent=absent,
        seed=seed,
    )
    value |= facts
    if run_out:
        save_run(run_out, run)
    if out:
        write_json(out, value)
    if plot:
        from trainer.evaluation.plot import plot as draw

        draw(value, plot)
    _show(value, as_json)
    for query_id, message in (asked.failures if asked else {}).items():
        click.echo(f"spr: query {query_id} failed and counts as zero: {message}", err=True)
    if asked and asked.failures:
        sys.exit(1)


def _sources(
    files: tuple[Path, ...], address: str | None, collection: Path | None, truth: Path | None
) -> tuple[Path, Path]:
    """Return (run file, truth); where queries are asked, the first is not used."""
    if bool(address) != bool(collection) and truth and not files:
        return truth, truth
    if not address and not collection and not truth and len(files) == 2:
        return files[0], files[1]
    raise click.UsageError(
        "Give --address HOST:PORT or --collection DIR with --truth FILE, or two files: RUN.json TRUTH.json."
    )


def _ask(
    address: str, queries: Any, segment_top_k: int | None, in_flight: int, timeout: float
) -> "Collected":
    from trainer.evaluation.service import collect
    from trainer.runs.progress import Progress

    with Progress("eval", total=len(queries), unit="queries") as progress:
        return collect(
            address,
            queries,
            segment_top_k=segment_top_k,
            in_flight=in_flight,
            timeout=timeout,
            on_done=progress.update,
        )


def _search(collection: Path, queries: Any, segment_top_k: int | None) -> tuple[Any, dict[str, Any]]:
    from trainer.evaluation.offline import Offline, search_offline
    from trainer.runs.progress import Progress

    generation = Offline.open(collection)
    with Progress("eval", total=len(queries), unit="queries") as progress:
        run = search_offline(generation, queries, segment_top_k, progress.update)
    about = generation.models.manifest
    versions = {"generation": about.id, "embedding_model": about.embedding_model}
    versions |= {"ranker_model": generation.models.ranker.name}
    return run, {"versions": versions, "segment_length": about.segment_length}


def _show(value: dict[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(value, indent=1))
        return
    from rich.console import Console

    console = Console()
    console.print(_table(value))
    figures = "  ".join(
        f"{name} {figure:.3f}" for name, figure in value["retrieval"].items() if "@" not in name
    )
    console.print(f"retrieval: {figures}", highlight=False)
    if value["slices"]:
        console.print(_slices(value["slices"]))


def _table(value: dict[str, Any]) -> "Table":
    from rich.table import Table

    stages = [
        stage
        for stage in ("chance", "retrieval", "coarse", "refined")
        if any(name.startswith("NDCG") for name in value.get(stage, {}))
    ]
    table = Table(title=f"{value['answerable']} of {value['queries']} queries have an answer")
    table.add_column("measure")
    for stage in (*stages, "refined vs coarse")[: len(stages) + ("change" in value)]:
        table.add_column(stage, justify="right")
    names = [name for name in value[stages[-1]] if name.startswith(("NDCG", "VideoRecall", "R@1", "mAP"))]
    for name in names:
        cells = [_number(value[stage].get(name)) for stage in stages]
        change = value.get("change", {}).get(name)
        table.add_row(
            name, *cells, *(["" if change is None else f"{change:+.1%}"] if "change" in value else [])
        )
    return table


def _slices(slices: dict[str, Any]) -> "Table":
    from rich.table import Table

    stages = [stage for stage in ("coarse", "refined") if stage in next(iter(slices.values()))]
    names = ("NDCG@10,IoU>=0.5", "NDCG@10,IoU>=0.7")
    table = Table(title="NDCG@10 by kind of query and IoU")
    columns = [f"{stage} {name.partition('>=')[2]}" for name in names for stage in stages]
    for heading in ("slice", "queries", *columns):
        table.add_column(heading, justify="left" if heading == "slice" else "right")
    for kind, part in slices.items():
        cells = [_number(part[stage][name]) for name in names for stage in stages]
        table.add_row(kind, str(part["queries"]), *cells)
    return table


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
