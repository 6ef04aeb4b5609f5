"""Batches of the published training that find no negative."""

import random
import re
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from tests.trainer.ranker.world import make_collection
from trainer.collection.annotations import JudgedQuery, load_queries
from trainer.formats.negatives import failures, nearest, warning


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


def test_every_batch_of_an_export_has_negatives_where_it_promises_so(crowd: list[JudgedQuery]) -> None:
    whole = nearest(crowd, 40, -1.0)
    # What the published code stops at, and that it is told.
    assert not all(published_negatives(whole, batch) for batch in epochs(whole, 8, 2))
    (told,) = [note for note in (warning(whole),) if note]
    match = re.search(r"--top-k (\d+) keeps ([\d,]+) pairs and avoids it", told)
    assert match is not None
    cut = nearest(whole, int(match[1]), -1.0)
    assert sum(len(query.moments) for query in cut) == int(match[2].replace(",", ""))
    assert warning(cut) == ""
    assert all(published_negatives(cut, batch) for batch in epochs(cut, 8, 20))


def test_the_estimate_is_what_batches_show(crowd: list[JudgedQuery]) -> None:
    queries = nearest(crowd, 12, -1.0)
    seen = [published_negatives(queries, batch) for batch in epochs(queries, 4, 12)]
    share = seen.count(False) / len(seen)
    assert share / 2 < failures(queries, 4) < 3 * share
