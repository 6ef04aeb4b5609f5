"""Lists of codes that are read where they lie: FAISS's own search of the same lists is the oracle."""

from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest
from numpy.typing import NDArray

from engine.types import Floats
from tests.workers.index.factories import unit
from workers.index import compiled
from workers.index.lists import Lists, readable

_faiss: Any = faiss  # its stubs lack much of it
VECTORS, LISTS = 900, 16


def index_of(vectors: Floats) -> Any:
    made = _faiss.index_factory(vectors.shape[1], f"IVF{LISTS},RaBitQ", _faiss.METRIC_INNER_PRODUCT)
    made.train(vectors)
    made.add(vectors)
    return made


def vectors_of(dim: int, seed: int = 0) -> Floats:
    rng = np.random.default_rng(seed)
    return unit((rng.standard_normal((VECTORS, dim)) + rng.standard_normal(dim)).astype(np.float32))


def oracle(index: Any, query: Floats, lists: NDArray[np.int64]) -> dict[int, float]:
    """Return the estimate of every row in some lists, by FAISS."""
    near, index.nprobe = np.zeros((1, len(lists)), np.float32), len(lists)
    scores, rows = index.search_preassigned(query[None], VECTORS, lists[None], near)
    return {int(row): float(score) for row, score in zip(rows[0], scores[0], strict=True) if row >= 0}


# Words of 64 bits, whole and not; 768 and 1024 numbers are read 8 and 4 words at once.
@pytest.mark.parametrize("dim", [8, 60, 64, 72, 100, 192, 768, 1000, 1024])
def test_estimates_are_those_of_faiss(dim: int) -> None:
    vectors = vectors_of(dim)
    index = index_of(vectors)
    assert readable(index)
    lists = Lists(index)
    asked = np.array([3, 0, 7, 15, 8], np.int64)
    for query in unit(vectors[:8] + 0.05 * vectors_of(dim, 1)[:8]):
        found, expected = lists.scan(query, asked), oracle(index, query, asked)
        assert sorted(found.rows.tolist()) == sorted(expected)
        wanted = np.array([expected[row] for row in found.rows.tolist()])
        # A number between two levels may be rounded to the other one.
        error = np.abs(found.products - wanted)
        assert np.median(error) < 1e-5
        assert error.max() < 0.02
        homes = index.quantizer.assign(vectors[found.rows], 1)[:, 0]
        np.testing.assert_array_equal(asked[found.places], homes)


def test_only_living_rows_above_the_floor_are_told() -> None:
    vectors = vectors_of(64)
    lists, every = Lists(index_of(vectors)), np.arange(LISTS, dtype=np.int64)
    whole = lists.scan(vectors[0], every)
    assert len(whole.rows) == VECTORS
    floor = float(np.sort(whole.products)[-100])
    living = np.arange(VECTORS) % 3 == 0
    found = lists.scan(vectors[0], every, floor, living)
    kept = (whole.products > floor) & living[whole.rows]
    assert 10 < kept.sum() < 60
    np.testing.assert_array_equal(found.products, whole.products[kept])
    np.testing.assert_array_equal(found.rows, whole.rows[kept])
    np.testing.assert_array_equal(found.places, whole.places[kept])


def test_lists_that_are_empty_or_none_hold_nothing() -> None:
    vectors = vectors_of(64)
    index = index_of(vectors)
    index.reset()
    lists = Lists(index)
    assert not len(lists.scan(vectors[0], np.arange(LISTS)).rows)
    index.add(vectors)
    lists = Lists(index)
    assert not len(lists.scan(vectors[0], np.array([-1, -1])).rows)
    assert not len(lists.scan(vectors[0], np.zeros(0, np.int64)).rows)


def test_a_query_at_a_centroid_and_rows_that_are_equal_have_an_estimate() -> None:
    vectors = np.repeat(vectors_of(64)[:30], 30, axis=0)
    index = index_of(vectors)
    query = index.quantizer.reconstruct(5)
    found = Lists(index).scan(query, np.arange(LISTS))
    assert np.isfinite(found.products).all()
    assert len(found.rows) == VECTORS


def test_lists_of_a_mapped_file_are_read_there(tmp_path: Path) -> None:
    vectors = vectors_of(100)
    made = index_of(vectors)
    _faiss.write_index(made, str(tmp_path / "index"))
    mapped = _faiss.read_index(str(tmp_path / "index"), _faiss.IO_FLAG_MMAP_IFC)
    assert readable(mapped)
    for one, other in zip(
        *(Lists(index).scan(vectors[3], np.arange(LISTS)) for index in (made, mapped)), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_what_may_not_be_written_to_is_not_compiled_for_anew() -> None:
    vectors = vectors_of(64)
    lists, asked = Lists(index_of(vectors)), np.arange(LISTS)
    expected = lists.scan(vectors[0], asked)
    before = len(compiled.scan.signatures)
    query = vectors[0].copy()
    query.flags.writeable = asked.flags.writeable = False
    np.testing.assert_array_equal(lists.scan(query, asked).products, expected.products)
    np.testing.assert_array_equal(lists.scan(query, np.repeat(asked, 2)[::2]).rows, expected.rows)
    assert len(compiled.scan.signatures) == before


@pytest.mark.parametrize(
    ("factory", "more"),
    [
        ("IVF16,RaBitQ", {"qb": 8}),
        ("IVF16,RaBitQ", {"by_residual": False}),
        ("IVF16_HNSW8,RaBitQ", {}),
        ("IVF16,RaBitQ3", {}),
    ],
)
def test_what_faiss_makes_otherwise_is_left_to_it(factory: str, more: dict[str, Any]) -> None:
    index = _faiss.index_factory(64, factory, _faiss.METRIC_INNER_PRODUCT)
    for name, value in more.items():
        setattr(index, name, value)
    assert not readable(index)
