"""Batches of the published training that find no negative."""

import random
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.trainer.ranker.world import make_collection
from trainer.collection.annotations import JudgedQuery, load_queries, save_queries
from trainer.formats.layout import Layout
from trainer.formats.negatives import failures, nearest, with_negatives
from trainer.formats.tvr_export import export_tvr_ranking


def published_negatives(queries: list[JudgedQuery], batch: list[tuple[int, int]]) -> bool:
    """Whether the published rule finds a wrong moment for every query of a batch, and a wrong query for every
    moment: moment b is right for query a where b's caption is among those of a's moments, or b is a's own.
    """
    captions = [{moment.caption for moment in queries[query].moments} for query, _ in batch]
    said = [queries[query].moments[moment].caption for query, moment in batch]
    right = np.array([[text in own for text in said] for own in captions]) | np.eye(len(batch), dtype=bool)
    return not right.all(0).any() and not right.all(1).any()


def epochs(queries: list[JudgedQuery], batch: int, count: int) -> Iterator[list[tuple[int, int]]]:
    """Yield the batches of a published training: shuffled pairs, the last, smaller batch dropped."""
    pairs = [(row, moment) for row, query in enumerate(queries) for moment in range(len(query.moments))]
    rng = random.Random(2024)
    for _ in range(count):
        rng.shuffle(pairs)
        yield from (pairs[at : at + batch] for at in range(0, len(pairs) - batch + 1, batch))


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> list[JudgedQuery]:
    """Training queries with captions that many share."""
    collection = make_collection(tmp_path_factory.mktemp("crowd") / "c", train=10, val=1)
    many = []
    for row, query in enumerate(load_queries(collection / "annotations" / "train.json") * 4):
        moments = [replace(query.moments[0], pair_id=pair, similarity=1.0 - pair / 40) for pair in range(30)]
        shared = [
            replace(moment, caption=f"event {(row + 7 * pair) % 40}") for pair, moment in enumerate(moments)
        ]
        many.append(replace(query, query_id=5000 + row, query=f"{query.query} {row}", moments=tuple(shared)))
    return many


def test_every_batch_of_an_export_has_negatives(crowd: list[JudgedQuery]) -> None:
    whole, told = with_negatives(crowd, whole=True)
    # What the published code stops at, and that it is told.
    assert whole == crowd
    assert not all(published_negatives(whole, batch) for batch in epochs(whole, 8, 2))
    assert told.endswith("; leave --all-moments out")
    cut, told = with_negatives(crowd, whole=False)
    match = re.match(
        r"([\d,]+) of ([\d,]+) training pairs were left out, all but each query's (\d+) nearest", told
    )
    assert match is not None
    left, pairs, top_k = (int(group.replace(",", "")) for group in match.groups())
    assert cut == nearest(whole, top_k, -1.0)
    assert (pairs, pairs - left) == tuple(sum(len(q.moments) for q in some) for some in (whole, cut))
    assert with_negatives(cut, whole=False) == (cut, "")
    assert all(published_negatives(cut, batch) for batch in epochs(cut, 8, 20))


def test_where_no_cut_helps_nothing_is_left_out(crowd: list[JudgedQuery]) -> None:
    same = [replace(q, moments=tuple(replace(m, caption="the one") for m in q.moments)) for q in crowd]
    kept, told = with_negatives(same, whole=False)
    assert kept == same
    assert told.endswith("train it with a larger batch")


def test_what_an_export_writes_has_negatives_unless_all_is_asked_for(
    crowd: list[JudgedQuery], tmp_path: Path
) -> None:
    native = make_collection(tmp_path / "c", train=10, val=1)
    known = [query.query for query in load_queries(native / "annotations" / "train.json")]
    # Sentences whose features the collection has, so that no encoder is needed.
    queries = [replace(query, query=known[row % len(known)]) for row, query in enumerate(crowd)]
    save_queries(native / "annotations" / "train.json", queries)
    counts = []
    for name, all_moments in (("cut", False), ("whole", True)):
        made = export_tvr_ranking(
            native, tmp_path / name, all_moments=all_moments, proposals=False, device="cpu"
        )
        written = load_queries(Layout(tmp_path / name, arch=made.arch, step=1.0).path("train"))
        batches = epochs(written, 8, 4)
        assert all(published_negatives(written, batch) for batch in batches) is not all_moments
        assert any("--all-moments" in note for note in made.notes)
        counts.append(sum(len(query.moments) for query in written))
    assert counts[0] < counts[1] == sum(len(query.moments) for query in crowd)


def test_the_estimate_is_what_batches_show(crowd: list[JudgedQuery]) -> None:
    queries = nearest(crowd, 12, -1.0)
    seen = [published_negatives(queries, batch) for batch in epochs(queries, 4, 12)]
    share = seen.count(False) / len(seen)
    assert share / 2 < failures(queries, 4) < 3 * share
