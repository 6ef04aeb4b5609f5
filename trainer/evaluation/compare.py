"""Compare two runs on the same truth: difference, bootstrap interval and permutation test of every measure.

{"stage": "refined", "queries": 720, "answerable": 600, "samples": 2000, "seed": 0,
 "runs": [1, 1],
 "measures": {"NDCG@10,IoU>=0.5": {"a": .., "b": .., "difference": .., "interval": [.., ..], "p": ..}, ...},
 "slices": {"imprecise": {"queries": 150, "answerable": 150, "measures": {...}}, ...}}
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from engine.errors import InvalidInput
from engine.printable import in_utf8
from trainer.collection.annotations import JudgedQuery, load_queries
from trainer.evaluation.chance import corpus_beside, corpus_of
from trainer.evaluation.judged import Truth, truths
from trainer.evaluation.matching import PROTOCOLS, SPR, Protocol
from trainer.evaluation.report import slice_names
from trainer.evaluation.resample import SAMPLES, paired
from trainer.evaluation.runfile import REFINED, Run, load_about, load_run, rankings, truth_of
from trainer.evaluation.scores import Scores, scores_of

# Query ids named where two runs differ.
_SHOWN = 5


def compare_files(
    a: Sequence[Path],
    b: Sequence[Path],
    *,
    truth: Path | None = None,
    stage: str = REFINED,
    protocol: str = SPR.name,
    seed: int = 0,
    samples: int = SAMPLES,
    html: Path | None = None,
) -> dict[str, Any]:
    """Return `compare` of run files, with the names of the files and of the truth.

    truth: None for the queries that the first run says it answers; InvalidInput where another says otherwise.
    html: also written, as a page.
    """
    truth = truth or _answered(a[0], (*a[1:], *b))
    one, other = (list(map(load_run, side)) for side in (a, b))
    queries, names = load_queries(truth), (in_utf8(a[0]), in_utf8(b[0]))
    chosen = PROTOCOLS[protocol]
    value = compare(
        one,
        other,
        queries,
        stage=stage,
        protocol=chosen,
        seed=seed,
        samples=samples,
        names=names,
    )
    files = {"a": list(map(in_utf8, a)), "b": list(map(in_utf8, b))}
    value = {"files": files, "truth": in_utf8(truth), **value}
    if html is not None:
        _write_html(html, value, (one, other), queries, chosen, corpus_beside(truth))
    return value


def _answered(first: Path, others: Iterable[Path]) -> Path:
    """Return the truth that all runs say they answer; InvalidInput where one does not."""
    truth = truth_of(first)
    wanted = load_about(first)["truth"]["sha256"]
    for path in others:
        card = load_about(path).get("truth")
        if not isinstance(card, dict) or card.get("sha256") != wanted:
            raise InvalidInput(f"{path} does not say that it answers {truth}, as {first} does; give --truth.")
    return truth


def _write_html(
    path: Path,
    value: dict[str, Any],
    sides: Sequence[Sequence[Run]],
    queries: Sequence[JudgedQuery],
    protocol: Protocol,
    seconds: Mapping[str, float],
) -> None:
    # Templates are slow to import, and not every comparison is a page.
    from trainer.evaluation.html.pages import write_comparison

    stage = value["stage"]
    judged = [query for query in queries if query.query_id in sides[0][0][stage]]
    truth = truths(judged)
    scored = [_scored(side, stage, truth, protocol) for side in sides]
    found = {name: (side[0], scores) for name, side, scores in zip("AB", sides, scored, strict=True)}
    write_comparison(path, value, found, judged, truth, {**corpus_of(queries), **seconds})


def compare(
    a: Run | Sequence[Run],
    b: Run | Sequence[Run],
    queries: Sequence[JudgedQuery],
    *,
    stage: str = REFINED,
    protocol: Protocol = SPR,
    seed: int = 0,
    samples: int = SAMPLES,
    names: tuple[str, str] = ("A", "B"),
) -> dict[str, Any]:
    """Return how much better b is than a over the queries that both answer, measure by measure.

    a, b: a run each, or several of a kind (one a training seed) whose values are averaged query by query.
    interval: 95 % bootstrap of the difference over queries; p: sign-flip permutation test, two-sided.
    names: what the runs are called in errors. Raises InvalidInput where a run lacks the stage, and where the
    two answer different queries or queries that are not judged, naming them.
    """
    sides = [[side] if isinstance(side, Mapping) else list(side) for side in (a, b)]
    judged = _asked(sides, queries, stage, names)
    truth = truths(judged)
    one, other = (_scored(side, stage, truth, protocol) for side in sides)
    slices: dict[str, Any] = {}
    for name in slice_names(judged):
        part = {query.query_id: truth[query.query_id] for query in judged if name in query.slices}
        slices[name] = _part(one.of(part), other.of(part), part, seed, samples)
    return {
        "stage": stage,
        "protocol": protocol.name,
        "samples": samples,
        "seed": seed,
        "runs": [len(side) for side in sides],
        **_part(one, other, truth, seed, samples),
        "slices": slices,
    }


def _asked(
    sides: Sequence[Sequence[Run]], queries: Sequence[JudgedQuery], stage: str, names: tuple[str, str]
) -> list[JudgedQuery]:
    """Return the queries that all runs answer; InvalidInput where they answer others than the first does."""
    every = [(run, name) for side, name in zip(sides, names, strict=True) for run in side]
    for run, name in every[1:]:
        _check_same(every[0][0], run, stage, (every[0][1], name))
    asked = set(every[0][0][stage])
    judged = [query for query in queries if query.query_id in asked]
    strangers = asked - {query.query_id for query in judged}
    if strangers:
        raise InvalidInput(
            f"{' and '.join(names)} answer {_named(strangers)}, which the truth does not judge."
        )
    return judged


def _part(one: Scores, other: Scores, truth: Truth, seed: int, samples: int) -> dict[str, Any]:
    answerable = sum(judged.answerable for judged in truth.values())
    measures = _measures(one, other, seed, samples) if answerable else {}
    return {"queries": len(truth), "answerable": answerable, "measures": measures}


def _scored(side: Iterable[Run], stage: str, truth: Truth, protocol: Protocol) -> Scores:
    """Return the scores of runs of a kind, averaged query by query."""
    scores = [scores_of(rankings(run[stage]), truth, protocol) for run in side]
    return replace(scores[0], values=np.mean([one.values for one in scores], axis=0))


def _check_same(a: Run, b: Run, stage: str, names: tuple[str, str]) -> None:
    for run, name in zip((a, b), names, strict=True):
        if stage not in run:
            raise InvalidInput(
                f"{name} has no stage {stage!r} but {', '.join(run)}; choose one of both runs."
            )
    one, other = set(a[stage]), set(b[stage])
    if one != other:
        only = [
            f"only {name} answers {_named(ids)}"
            for name, ids in zip(names, (one - other, other - one), strict=True)
            if ids
        ]
        raise InvalidInput(f"The runs answer different queries: {'; '.join(only)}. Ask both the same ones.")


def _named(ids: Collection[int]) -> str:
    shown = ", ".join(map(str, sorted(ids)[:_SHOWN]))
    more = ", ..." if len(ids) > _SHOWN else ""
    return f"{len(ids)} queries ({shown}{more})"


def _measures(one: Scores, other: Scores, seed: int, samples: int) -> dict[str, Any]:
    tested = paired(one.values, other.values, seed, samples)
    means = one.means(), other.means()
    return {
        name: {
            "a": means[0][name],
            "b": means[1][name],
            "difference": float(tested.mean[column]),
            "interval": [float(tested.low[column]), float(tested.high[column])],
            "p": float(tested.p[column]),
        }
        for column, name in enumerate(one.names)
    }
