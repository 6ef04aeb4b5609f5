"""`spr eval`: how good the answers are."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from spr_cli.options import ADDRESS, SECONDS

if TYPE_CHECKING:
    from engine.proposals import ProposalRule
    from trainer.evaluation.service import Collected

# What a report keeps of who answered, and a run file with it.
KEPT = ("versions", "segment_length")
FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("files", nargs=-1, type=FILE)
@click.option("--address", type=ADDRESS, help="Ask the service at HOST:PORT every query of --truth.")
@click.option(
    "--collection",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Ask the active generation of a collection, in this process, without a service.",
)
@click.option("--generation", default="", help="Of --collection.  [default: the active one]")
@click.option("--truth", type=FILE, help="Judged queries (val.json, test.json) to ask.")
@click.option(
    "--corpus", type=FILE, help="Videos and seconds, for the chance level.  [default: beside the truth]"
)
@click.option("--out", type=FILE, help="Write the report as JSON.")
@click.option("--plot", type=FILE, help="Write the report as a PNG chart.")
@click.option(
    "--reliability", type=FILE, help="Draw confidence against truth as PNG, where moments carry it."
)
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
@click.option("--proposals", help="adjacent, constant:N, adaptive:SHARE or peaks:N.  [default: peaks:1]")
@click.option("--segment-length", type=float, help="Seconds.  [default: the collection's, else 4]")
@click.option("--in-flight", default=4, show_default=True, type=click.IntRange(1), help="Queries at once.")
@click.option("--timeout", type=SECONDS, default=30.0, show_default=True, help="Seconds a query may take.")
@click.option(
    "--reach",
    type=click.FloatRange(min=0),
    help="Seconds around a proposal that a ranker sees, for the ceiling.",
)
@click.option(
    "--bootstrap", default=2000, show_default=True, type=click.IntRange(1), help="Resamples of an interval."
)
@click.option("--limit", type=click.IntRange(1), help="Only the first N queries.")
@click.option("--seed", default=0, show_default=True, help="Of chance level and intervals.")
def command(
    files: tuple[Path, ...],
    address: str | None,
    collection: Path | None,
    truth: Path | None,
    out: Path | None,
    plot: Path | None,
    reliability: Path | None,
    run_out: Path | None,
    as_json: bool,
    limit: int | None,
    **options: Any,
) -> None:
    """Measure how good the answers are, against judged queries.

    With --address every query is asked of a running service; with --collection, of its active generation in
    this process, by exact search; otherwise FILES are a run file and the truth (which a run file written by
    --run-out names itself). Coarse proposals and refined moments are measured side by side, between what
    blind guessing reaches and the ceiling, what perfect ranking would make of the proposals. A query without
    an answer counts as zero. `spr eval compare A.json B.json` says which of two runs is better.

    Exit code: 0 when every query was answered, 1 when some failed (they are in the report).

    \b
    spr eval --address localhost:7400 --truth c/annotations/test.json --out report.json --plot report.png
    spr eval --collection c --truth c/annotations/val.json --run-out a.json
    spr eval a.json
    spr eval run.json c/annotations/test.json --json
    spr eval test_coarse_proposals.json test.json --protocol tvr-ranking
    spr eval moment_detr_predictions.jsonl c/annotations/val.json
    """
    from trainer.collection.annotations import load_queries

    run_file, truth = _sources(files, address, collection, truth)
    queries = load_queries(truth)[:limit]
    failures: Mapping[int, str] = {}
    if address:
        asked = _ask(address, queries, options)
        run, facts, failures = asked.run, asked.facts(), asked.failures
    elif collection:
        run, facts = _search(collection, queries, options)
    else:
        run, facts = _kept(run_file)
    facts["segment_length"] = options["segment_length"] or facts.get("segment_length", 4.0)
    value = _measured(run, queries, truth, facts["segment_length"], options) | facts
    if run_out:
        _keep(run_out, run, truth, facts)
    _write(value, out, plot, reliability)
    _show(value, as_json)
    for query_id, message in failures.items():
        click.echo(f"spr: query {query_id} failed and counts as zero: {message}", err=True)
    if failures:
        sys.exit(1)


def _kept(run_file: Path) -> tuple[Any, dict[str, Any]]:
    """Return the answers of a run file and what it says of who answered."""
    from trainer.evaluation.runfile import load_about, load_run

    about = load_about(run_file)
    return load_run(run_file), {name: about[name] for name in KEPT if name in about}


def _measured(
    run: Any, queries: Any, truth: Path, segment_length: float, options: dict[str, Any]
) -> dict[str, Any]:
    from trainer.collection.annotations import load_corpus
    from trainer.evaluation.measures import PROTOCOLS
    from trainer.evaluation.report import report
    from trainer.formats.segments import segments_beside

    corpus = options["corpus"] or truth.with_name(f"corpus_{truth.name}")
    return report(
        run,
        queries,
        corpus=load_corpus(corpus) if corpus.is_file() else None,
        segment_length=segment_length,
        protocol=PROTOCOLS[options["protocol"]],
        samples=options["bootstrap"],
        given=segments_beside(truth, segment_length),
        absent=options["absent"],
        reach=options["reach"],
        seed=options["seed"],
    )


def _keep(run_out: Path, run: Any, truth: Path, facts: dict[str, Any]) -> None:
    from trainer.evaluation.runfile import save_run, truth_card

    about = {name: facts[name] for name in KEPT if name in facts}
    save_run(run_out, run, {"truth": truth_card(truth), **about})


def _sources(
    files: tuple[Path, ...], address: str | None, collection: Path | None, truth: Path | None
) -> tuple[Path, Path]:
    """Return (run file, truth); where queries are asked, the first is not used."""
    from trainer.evaluation.runfile import truth_of

    if bool(address) != bool(collection) and truth and not files:
        return truth, truth
    if not address and not collection and len(files) + bool(truth) in (1, 2) and files:
        return files[0], truth or (files[1] if len(files) == 2 else truth_of(files[0]))
    raise click.UsageError(
        "Give --address HOST:PORT or --collection DIR with --truth FILE, or two files: RUN.json TRUTH.json."
    )


def _write(value: dict[str, Any], out: Path | None, plot: Path | None, reliability: Path | None) -> None:
    from engine.errors import InvalidInput
    from engine.files import write_json

    if out:
        write_json(out, value)
    if plot:
        from trainer.evaluation.plot import plot as draw

        draw(value, plot)
    if reliability:
        from trainer.evaluation.plot import plot_reliability

        stages = list(value.get("confidence", {}).values())
        if not stages:
            raise InvalidInput("The moments carry no confidence; leave --reliability out.")
        plot_reliability(stages[-1], reliability)


def _ask(address: str, queries: Any, options: dict[str, Any]) -> "Collected":
    from trainer.evaluation.service import collect
    from trainer.runs.progress import Progress

    with Progress("eval", total=len(queries), unit="queries") as progress:
        return collect(
            address,
            queries,
            segment_top_k=options["segment_top_k"],
            rule=_rule(options["proposals"]),
            in_flight=options["in_flight"],
            timeout=options["timeout"],
            on_done=progress.update,
        )


def _search(collection: Path, queries: Any, options: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    from trainer.evaluation.offline import Offline, search_offline
    from trainer.runs.progress import Progress

    generation, rule = Offline.open(collection, options["generation"]), _rule(options["proposals"])
    with Progress("eval", total=len(queries), unit="queries") as progress:
        run = search_offline(generation, queries, options["segment_top_k"], progress.update, rule)
    about = generation.models.manifest
    versions = {"generation": about.id, "embedding_model": about.embedding_model}
    versions |= {"ranker_model": generation.models.ranker.name}
    return run, {"versions": versions, "segment_length": about.segment_length}


def _rule(proposals: str | None) -> "ProposalRule | None":
    from engine.proposals import ProposalRule

    return ProposalRule.parse(proposals) if proposals else None


def _show(value: dict[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(value, indent=1))
        return
    from spr_cli.eval_tables import show

    show(value)
