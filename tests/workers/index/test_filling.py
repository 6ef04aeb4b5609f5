"""Parts that are written as their vectors come, and large ones whose originals are read row by row."""

import os
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest

from engine.errors import Mismatch
from engine.types import Floats
from tests.workers.index.factories import clustered, labels, pairs, template, unit
from workers.index import originals
from workers.index.effort import Effort
from workers.index.factory import CODES, LISTED
from workers.index.filling import fill
from workers.index.living import Living
from workers.index.part import ORIGINALS, IndexPart

COUNTS = [30] * 40
LISTS = f"IVF16,{LISTED}"


@pytest.fixture(scope="module")
def vectors() -> Floats:
    return clustered(sum(COUNTS), 32)


@pytest.fixture
def queries(vectors: Floats) -> Floats:
    noise = np.random.default_rng(1).standard_normal((6, 32))
    return unit((vectors[::200] + 0.1 * noise).astype(np.float32))


@pytest.mark.parametrize("index", ["flat", "IVF16,Flat", "IVF16,PQ16x4,RFlat", CODES, LISTS])
def test_a_stream_writes_the_bytes_of_an_index_in_memory(vectors: Floats, index: str, tmp_path: Path) -> None:
    trained, effort = template(vectors, index), Effort(7, 3)
    whole = IndexPart.build(trained, [vectors], *labels(COUNTS))
    whole.effort = effort
    whole.save(tmp_path / "whole")
    blocks = iter(np.split(vectors, [100, 101, 900]))
    fill(tmp_path / "streamed", trained, blocks, *labels(COUNTS), effort=effort)
    written = {path.name: path.read_bytes() for path in (tmp_path / "whole").iterdir()}
    assert {path.name: path.read_bytes() for path in (tmp_path / "streamed").iterdir()} == written


@pytest.fixture
def both(vectors: Floats, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[IndexPart, IndexPart]:
    """The same part, mapped and read."""
    fill(tmp_path / "p", template(vectors, LISTS), [vectors], *labels(COUNTS))
    mapped = IndexPart.open(tmp_path / "p", "cpu")
    monkeypatch.setattr(originals, "LARGE", 0)
    monkeypatch.setattr(originals, "BLOCK", 64)
    return mapped, IndexPart.open(tmp_path / "p", "cpu")


@pytest.mark.parametrize("share", [None, 1.0, 0.5, 0.05, 0.0])
def test_originals_that_are_read_answer_as_those_that_are_mapped(
    both: tuple[IndexPart, IndexPart], queries: Floats, share: float | None
) -> None:
    told = (
        [None]
        if share is None
        else [
            Living(np.random.default_rng(2).random(sum(COUNTS)) < share, filtered)
            for filtered in (False, True)
        ]
    )
    for living in told:
        for k, factor in ((1, 1), (20, 4), (2000, 1)):
            mapped, read = (part.search(queries, k, 4, factor, living) for part in both)
            assert [pairs(hits) for hits in mapped] == [pairs(hits) for hits in read]
            assert [hits.scores.tobytes() for hits in mapped] == [hits.scores.tobytes() for hits in read]


def test_rows_that_are_not_cached_are_waited_for(
    both: tuple[IndexPart, IndexPart], queries: Floats, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual, waited = os.preadv, []

    def nothing_cached(handle: int, buffers: list[memoryview], place: int, flags: int = 0) -> int:
        if flags:
            raise BlockingIOError
        waited.append(place)
        return usual(handle, buffers, place)

    monkeypatch.setattr(os, "preadv", nothing_cached)
    mapped, read = ([pairs(hits) for hits in part.search(queries, 9)] for part in both)
    assert mapped == read
    assert waited


def test_originals_that_were_cut_are_named(
    both: tuple[IndexPart, IndexPart], queries: Floats, tmp_path: Path
) -> None:
    os.truncate(tmp_path / "p" / ORIGINALS, 1000)
    with pytest.raises(Mismatch, match=rf"{ORIGINALS} ends too early"):
        both[1].search(queries, 9)


def test_a_row_that_is_no_number_is_not_found(vectors: Floats, queries: Floats) -> None:
    damaged = vectors[:60].copy()
    damaged[7] = np.nan
    index: Any = faiss.IndexScalarQuantizer(32, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
    index.add(damaged)
    read = originals.Mapped(index)
    rows = np.array([[3, 7, 40]])
    scores, places = read.best(queries[:1], rows, 3)
    assert sorted(places[0].tolist()) == [-1, 3, 40]
    assert places[0, 2] == -1
    found = read.scores(queries[:1], rows[0])
    assert found[1] == -np.inf
    assert sorted(found[[0, 2]], reverse=True) == scores[0, :2].tolist()
