"""Searches of lists of codes that stop early: fewer lists and originals, the same rows but for a few."""

from typing import Any

import faiss
import numpy as np
import pytest
from numpy.typing import NDArray

from engine.types import Floats
from tests.workers.index.factories import unit
from workers.index import stopping
from workers.index.lists import Estimates, Lists
from workers.index.living import Living
from workers.index.originals import Mapped, Originals

_faiss: Any = faiss  # its stubs lack much of it
LISTS, VECTORS, DIM, K = 64, 6400, 32, 50


@pytest.fixture(autouse=True)
def _always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of few rows as well, and after fewer lists and candidates."""
    monkeypatch.setattr(stopping, "WORTH", 0)
    monkeypatch.setattr(stopping, "FIRST", 8)
    monkeypatch.setattr(stopping, "AT_ONCE", 0)


@pytest.fixture(scope="module")
def vectors() -> Floats:
    """Clusters of unequal width around directions that are anything but even."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((100, DIM)) * np.linspace(2, 0.2, DIM)
    wide = rng.uniform(0.1, 0.5, (VECTORS, 1))
    found = centres[rng.integers(100, size=VECTORS)] + wide * rng.standard_normal((VECTORS, DIM))
    return unit(found.astype(np.float32))


@pytest.fixture(scope="module")
def index(vectors: Floats) -> Any:
    made = _faiss.index_factory(DIM, f"IVF{LISTS},RaBitQ,Refine(SQfp16)", _faiss.METRIC_INNER_PRODUCT)
    made.train(vectors)
    made.add(vectors)
    return made


@pytest.fixture(scope="module")
def queries(vectors: Floats) -> Floats:
    """Near a cluster, and between two."""
    rng = np.random.default_rng(1)
    one, other = vectors[rng.integers(VECTORS, size=(2, 60))]
    found = np.concatenate([one, one + other]) + 0.05 * rng.standard_normal((120, DIM))
    return unit(found.astype(np.float32))


class _Watched(Lists):
    """Lists that count how many are scanned."""

    scanned = 0

    def scan(
        self, query: Floats, lists: Any, floor: float = -np.inf, living: NDArray[np.bool_] | None = None
    ) -> Estimates:
        self.scanned += len(lists)
        return super().scan(query, lists, floor, living)


@pytest.fixture
def lists(index: Any) -> _Watched:
    return _Watched(_faiss.downcast_index(index.base_index))


@pytest.fixture
def search(index: Any, lists: _Watched) -> stopping.Stopping:
    made = stopping.of(index, None)
    assert made is not None
    made._lists = lists
    return made


def visited(search: stopping.Stopping, lists: _Watched, queries: Floats, nprobe: int) -> int:
    """Return how many lists are visited."""
    lists.scanned = 0
    search.search(queries, K, 4 * K, nprobe)
    return lists.scanned


def test_fewer_lists_find_nearly_the_same(
    index: Any, search: stopping.Stopping, lists: _Watched, queries: Floats
) -> None:
    nprobe = LISTS // 2
    parameters = _faiss.IndexRefineSearchParameters(
        k_factor=4, base_index_params=_faiss.SearchParametersIVF(nprobe=nprobe)
    )
    scores, rows = index.search(queries, K, params=parameters)
    found, places = search.search(queries, K, 4 * K, nprobe)
    shared = [np.intersect1d(a, b, return_indices=True)[1:] for a, b in zip(rows, places, strict=True)]
    assert np.mean([len(one) for one, _ in shared]) >= 0.97 * K
    # The same rows score the same, to the last bit.
    for query, (one, other) in enumerate(shared):
        np.testing.assert_array_equal(scores[query, one], found[query, other])
    assert visited(search, lists, queries, nprobe) < 0.8 * nprobe * len(queries)


def test_queries_between_clusters_visit_more(
    search: stopping.Stopping, lists: _Watched, queries: Floats
) -> None:
    inside, between = (visited(search, lists, half, LISTS // 2) for half in np.split(queries, 2))
    assert inside < between


def test_few_codes_all_lists_and_few_living_rows_are_searched_whole(
    index: Any, search: stopping.Stopping, lists: _Watched, queries: Floats, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert visited(search, lists, queries, LISTS) == LISTS * len(queries)
    monkeypatch.setattr(stopping, "WORTH", VECTORS // 2 + 1)
    assert visited(search, lists, queries, LISTS // 2) == LISTS // 2 * len(queries)
    monkeypatch.setattr(stopping, "WORTH", VECTORS // 2)
    assert visited(search, lists, queries, LISTS // 2) < LISTS // 2 * len(queries)
    living = Living(np.arange(VECTORS) % 10 == 0)
    _, rows = search.search(queries, K, VECTORS, LISTS // 2, living)
    parameters = _faiss.SearchParametersIVF(nprobe=LISTS // 2, sel=living.selector)
    _, expected = index.base_index.search(queries, VECTORS, params=parameters)
    best = Mapped(_faiss.downcast_index(index.refine_index)).best(queries, expected, K)[1]
    np.testing.assert_array_equal(rows, best)


@pytest.mark.parametrize("share", [1.0, 0.9, 0.5])
def test_living_rows_alone_say_when_to_stop(
    index: Any, search: stopping.Stopping, lists: _Watched, queries: Floats, share: float
) -> None:
    # Of some clusters nothing is left: their queries look farther.
    alive = np.random.default_rng(2).random(VECTORS) < share
    alive[index.search(queries[:5], 200)[1].ravel()] = share == 1.0
    if alive.mean() < stopping.SHARE:
        alive[np.flatnonzero(~alive)[: VECTORS // 20]] = True
    living = Living(alive)
    nprobe = LISTS // 2
    parameters = _faiss.SearchParametersIVF(nprobe=nprobe, sel=living.selector)
    _, candidates = index.base_index.search(queries, 4 * K, params=parameters)
    originals = Mapped(_faiss.downcast_index(index.refine_index))
    _, rows = originals.best(queries, candidates, K)
    _, found = search.search(queries, K, 4 * K, nprobe, living)
    assert lists.scanned < 0.9 * nprobe * len(queries)
    assert alive[found[found >= 0]].all()
    assert np.mean([len(np.intersect1d(a, b)) for a, b in zip(rows, found, strict=True)]) >= 0.97 * K


def test_a_query_finds_the_same_alone(search: stopping.Stopping, queries: Floats) -> None:
    scores, rows = search.search(queries, K, 4 * K, LISTS // 2)
    for number in range(0, len(queries), 10):
        one, places = search.search(queries[number : number + 1], K, 4 * K, LISTS // 2)
        np.testing.assert_array_equal(one[0], scores[number])
        np.testing.assert_array_equal(places[0], rows[number])


def test_more_rows_than_the_first_lists_hold_stop_nothing(
    search: stopping.Stopping, lists: _Watched, queries: Floats
) -> None:
    # As many as they hold on average: for some queries fewer.
    for k in (VECTORS * stopping.FIRST // LISTS, VECTORS // 4):
        lists.scanned = 0
        search.search(queries, k, k, LISTS // 2)
        assert lists.scanned > LISTS // 4 * len(queries)
    assert lists.scanned == LISTS // 2 * len(queries)


class _Counted(Mapped):
    """Originals that count how many were read."""

    read = 0

    def _read(self, rows: NDArray[np.int64], out: NDArray[np.uint8]) -> None:
        self.read += len(rows)
        super()._read(rows, out)


@pytest.mark.parametrize("block", [70, 16_384])
def test_fewer_candidates_are_scored_and_nearly_the_same_found(
    index: Any, queries: Floats, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    originals = _Counted(_faiss.downcast_index(index.refine_index))
    search = stopping.of(index, originals)
    assert search is not None
    monkeypatch.setattr(stopping, "BLOCK", block)
    candidates, nprobe = 30 * K, LISTS // 2
    found, places = search.search(queries, K, candidates, nprobe)
    read, originals.read = originals.read, 0
    # The same lists, all candidates.
    monkeypatch.setattr(stopping, "AT_ONCE", candidates)
    scores, rows = search.search(queries, K, candidates, nprobe)
    assert read < 0.7 * originals.read
    assert np.mean([len(np.intersect1d(a, b)) for a, b in zip(rows, places, strict=True)]) >= 0.97 * K
    assert (found <= scores).all()


def test_more_candidates_find_what_codes_that_err_hide(
    search: stopping.Stopping, queries: Floats, monkeypatch: pytest.MonkeyPatch
) -> None:
    candidates, nprobe = 60 * K, LISTS // 2
    _, found = search.search(queries, K, candidates, nprobe)
    monkeypatch.setattr(stopping, "AT_ONCE", candidates)
    _, rows = search.search(queries, K, candidates, nprobe)
    assert np.mean([len(np.intersect1d(a, b)) for a, b in zip(rows, found, strict=True)]) >= 0.998 * K


class _Told(Originals):
    """Originals whose scores are told."""

    def __init__(self, scores: Floats) -> None:
        self._scores = scores

    def _read(self, rows: NDArray[np.int64], out: NDArray[np.uint8]) -> None:
        raise NotImplementedError

    def scores(self, query: Floats, rows: NDArray[np.int64]) -> Floats:
        return np.asarray(self._scores[rows])


def test_a_rest_that_is_not_worth_a_step_is_scored_with_the_others(
    index: Any, queries: Floats, monkeypatch: pytest.MonkeyPatch
) -> None:
    originals = _Counted(_faiss.downcast_index(index.refine_index))
    search = stopping.of(index, originals)
    assert search is not None
    scored: list[int] = []
    monkeypatch.setattr(originals, "scores", lambda query, rows: scored.append(len(rows)))
    monkeypatch.setattr(stopping, "AT_ONCE", 8 * K)
    search.search(queries[:1], K, 8 * K + 4, LISTS // 2)
    assert (originals.read, scored) == (8 * K + 4, [])


def test_of_equal_rows_at_the_cut_the_first_is_found(index: Any) -> None:
    estimates = np.array([0.65, 0.6, 0.55, 0.54, 0.53, 0.5, 0.5, *np.linspace(0.4, 0.1, 13)], np.float32)
    found = estimates - 0.1
    found[[0, 1, 5, 6]] = 0.9, 0.85, 0.8, 0.8
    # FAISS orders candidates of one estimate as it likes; after six it is asked whether to go on.
    rows = np.arange(len(found))[::-1].copy()
    search = stopping.of(index, _Told(found[::-1].copy()))
    assert search is not None
    scores, best = search._best(np.zeros((1, DIM), np.float32), rows, estimates, 3)
    assert best.tolist() == [19, 18, 13]
    assert scores.tolist() == found[[0, 1, 6]].tolist()


@pytest.mark.parametrize("factory", ["Flat", "IVF16,PQ16x4", "RaBitQ", "IVF16,RaBitQ", "IVF16,PQ16x4,RFlat"])
def test_other_kinds_are_left_alone(vectors: Floats, factory: str) -> None:
    made = _faiss.index_factory(DIM, factory, _faiss.METRIC_INNER_PRODUCT)
    assert stopping.of(made, None) is None
