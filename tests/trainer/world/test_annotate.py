"""Annotations of a planned world: disjoint splits, exhaustive grades, sensible counts."""

import collections
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trainer.collection.annotations import JudgedQuery, load_corpus, load_queries
from trainer.world.annotate import LISTED_ZEROS, PSEUDO_POSITIVES, annotate, ask_questions
from trainer.world.judge import Judge, grades
from trainer.world.plan import SPLITS, VideoPlan
from trainer.world.planner import plan_video
from trainer.world.profile import PLAIN


@pytest.fixture(scope="module")
def plans() -> list[VideoPlan]:
    return [plan_video(1, index) for index in range(120)]


@pytest.fixture(scope="module")
def folder(plans: list[VideoPlan], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("world")
    annotate(plans, 1, out)
    return out


@pytest.fixture(scope="module")
def captions(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "captions.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def queries(folder: Path) -> dict[str, list[JudgedQuery]]:
    return {split: load_queries(folder / f"annotations/{split}.json") for split in SPLITS}


def test_the_same_world_is_annotated_with_the_same_bytes(
    plans: list[VideoPlan], folder: Path, tmp_path: Path
) -> None:
    annotate(plans, 1, tmp_path)
    names = sorted(path.relative_to(folder) for path in folder.rglob("*.json*"))
    assert len(names) == 7
    for name in names:
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()


def test_splits_share_no_video(
    folder: Path, queries: dict[str, list[JudgedQuery]], plans: list[VideoPlan]
) -> None:
    corpora = {split: load_corpus(folder / f"annotations/corpus_{split}.json") for split in SPLITS}
    assert sum(map(len, corpora.values())) == len(set().union(*corpora.values())) == len(plans)
    for split in SPLITS:
        for moment in (moment for query in queries[split] for moment in query.moments):
            assert corpora[split][moment.video] == moment.duration
            assert 0 < moment.start < moment.end <= moment.duration


def test_every_event_has_a_caption(captions: list[dict[str, Any]], plans: list[VideoPlan]) -> None:
    told = [(line["video"], line["start"], line["end"]) for line in captions]
    assert told == [(plan.name, event.start, event.end) for plan in plans for event in plan.events]
    for line in captions:
        assert line["attributes"]["colour"]
        assert all(line["start"] <= second < line["end"] for second, *_ in line["track"])
        assert ("subtitle" in line) == ("facts" in line["attributes"])
    assert len({line["caption"] for line in captions}) > 0.8 * len(captions)


def test_there_are_enough_queries_of_each_kind(queries: dict[str, list[JudgedQuery]]) -> None:
    assert len(queries["train"]) >= 600
    assert len(queries["val"]) >= 60
    assert len(queries["test"]) >= 120
    for split in SPLITS:
        kinds = collections.Counter(query.slice for query in queries[split])
        assert set(kinds) == set(PLAIN.kinds)
        assert min(kinds.values()) > 0.08 * len(queries[split])
        assert len({query.query for query in queries[split]}) == len(queries[split])


def test_only_val_and_test_are_judged(queries: dict[str, list[JudgedQuery]]) -> None:
    for query in queries["train"]:
        assert len(query.moments) <= PSEUDO_POSITIVES
        assert all(moment.relevance is None for moment in query.moments)
        similar = [moment.similarity for moment in query.moments]
        assert similar == sorted(similar, reverse=True)
    for query in queries["val"] + queries["test"]:
        assert query.moments[0].relevance == 4
        assert all(moment.relevance in (0, 1, 2, 3, 4) for moment in query.moments)
        assert sum(moment.relevance == 0 for moment in query.moments) <= LISTED_ZEROS


def test_pair_ids_name_moments(queries: dict[str, list[JudgedQuery]]) -> None:
    named: dict[int, tuple[str, float]] = {}
    for moment in (m for split in SPLITS for query in queries[split] for m in query.moments):
        assert named.setdefault(moment.pair_id, (moment.video, moment.start)) == (moment.video, moment.start)
    assert len(set(named.values())) == len(named)


@pytest.mark.parametrize("split", ["val", "test"])
def test_every_moment_of_the_split_is_judged(
    split: str, queries: dict[str, list[JudgedQuery]], plans: list[VideoPlan]
) -> None:
    """Judge the same questions anew: what is listed as relevant is all there is."""
    inside = [(plan.name, event) for plan in plans if plan.split == split for event in plan.events]
    events = [event for _, event in inside]
    rng = np.random.default_rng(0)
    by_text = {query.query: query for query in queries[split]}
    judge, met = Judge(events), 0
    for asking in ask_questions(events, 2000, rng):
        query = by_text.get(asking.text)
        if query is None or query.slice != asking.slice:
            continue
        met += 1
        grade = grades(judge.shares(asking.ask))
        truth = {(name, event.start): g for (name, event), g in zip(inside, grade, strict=True) if g}
        listed = {(m.video, m.start): m.relevance for m in query.moments if m.relevance}
        assert listed == truth, query.query
    assert met > 10


def test_precise_queries_have_few_answers(
    queries: dict[str, list[JudgedQuery]], plans: list[VideoPlan]
) -> None:
    total = sum(len(plan.events) for plan in plans if plan.split == "test")
    for query in queries["test"]:
        relevant = sum(bool(moment.relevance) for moment in query.moments)
        assert relevant <= (0.25 if query.slice in ("precise", "subtitle") else 0.45) * total, query.query


def test_a_tiny_world_has_judged_queries_too(tmp_path: Path) -> None:
    counts = annotate([plan_video(0, index) for index in range(3)], 0, tmp_path)
    assert min(map(len, counts.values())) >= 3
