"""Write a report, or a comparison of two runs, as one HTML file."""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from engine.files import replacing
from trainer.collection.annotations import JudgedQuery
from trainer.evaluation.html.queries import columns, drawn, first_values, rows
from trainer.evaluation.html.timelines import WIDTH, Lengths
from trainer.evaluation.judged import Truth, truths
from trainer.evaluation.matching import Protocol
from trainer.evaluation.measures import Absent
from trainer.evaluation.report import Report
from trainer.evaluation.resample import bootstrap
from trainer.evaluation.runfile import RETRIEVAL, STAGES, Run, rankings
from trainer.evaluation.scores import Scores, scores_of


def write_report(
    path: Path,
    report: Report,
    run: Run,
    queries: Sequence[JudgedQuery],
    *,
    protocol: Protocol,
    absent: Absent,
    seconds: Lengths,
    seed: int,
    samples: int,
) -> None:
    """Write a report: measures with intervals, all queries, and the worst ones' timelines.

    seconds: of videos, {} where they are unknown. seed, samples: of the bootstrap.
    """
    truth = truths(queries)
    found = {stage: rankings(run[stage]) for stage in STAGES if stage in run}
    scores = {stage: scores_of(one, truth, protocol, absent) for stage, one in found.items()}
    # Segments as retrieved are no moments: the table leaves them out beside moments.
    told = {stage: one for stage, one in scores.items() if stage != RETRIEVAL} or scores
    table = rows(queries, truth, found, told)
    last = list(scores)[-1]
    _write(
        path,
        "report.html",
        report=report,
        stages=[(stage, _measures(one, seed, samples)) for stage, one in scores.items()],
        columns=columns(told),
        rows=table,
        last=last,
        worst=drawn(table, first_values(scores[last]), truth, found, seconds),
        seed=seed,
        samples=samples,
    )


def write_comparison(
    path: Path,
    value: Mapping[str, Any],
    sides: Mapping[str, tuple[Run, Scores]],
    queries: Sequence[JudgedQuery],
    truth: Truth,
    seconds: Lengths,
) -> None:
    """Write what `compare` returns, all queries, and the timelines of those that B loses and wins most.

    sides: "A" and "B": a run of each, and their scores. Moments are drawn of these runs.
    """
    found = {name: rankings(run[value["stage"]]) for name, (run, _) in sides.items()}
    scores = {name: one for name, (_, one) in sides.items()}
    table = rows(queries, truth, found, scores)
    one, other = (first_values(side) for side in scores.values())
    gains = {query: other[query] - one[query] for query in one if other[query] != one[query]}
    lost = {query: gain for query, gain in gains.items() if gain < 0}
    won = {query: -gain for query, gain in gains.items() if gain > 0}
    _write(
        path,
        "comparison.html",
        value=value,
        columns=columns(scores),
        rows=table,
        gains=gains,
        lost=drawn(table, lost, truth, found, seconds),
        won=drawn(table, won, truth, found, seconds),
    )


def _measures(scores: Scores, seed: int, samples: int) -> list[tuple[str, float, float, float]]:
    """Return every measure with its mean and the ends of its 95 % interval."""
    low, high = bootstrap(scores.values, seed, samples)
    means = scores.means()
    return [(name, means[name], float(low[row]), float(high[row])) for row, name in enumerate(scores.names)]


def _write(path: Path, template: str, **values: Any) -> None:
    text = _templates().get_template(template).render(width=WIDTH, **values)
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")


@cache
def _templates() -> Environment:
    # Queries and names of files are anybody's text: everything is escaped.
    loader = PackageLoader("trainer.evaluation.html", "templates")
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
