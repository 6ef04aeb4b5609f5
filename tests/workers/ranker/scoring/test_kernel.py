import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest

from tests import numeric
from tests.workers.ranker.contexts import oracle, random_store, random_vectors
from workers import compiling
from workers.ranker.scoring import kernel
from workers.ranker.scoring.evidence import Biases, Heads, Jobs
from workers.ranker.scoring.kernel import Kernel
from workers.ranker.stores.contexts import VIDEO, EncodedStore, write_encoded

HIDDEN = 24


def random_jobs(rng: np.random.Generator, store: EncodedStore, n: int, longest: int) -> Jobs:
    lengths = rng.integers(0, longest + 1, n)
    lengths[:3] = [0, 1, 2]
    rows = rng.integers(0, store.clips.sum() - longest, n)
    first = rng.integers(0, np.maximum(lengths, 1))
    last = rng.integers(first, np.maximum(lengths, 1))
    return Jobs(rows, lengths, first, last, rng.integers(0, 2, n))


@pytest.mark.parametrize("dtype", ["float16", "int8", "int5"])
@pytest.mark.parametrize("reach", [0, 4])
@pytest.mark.parametrize(("taps", "shortest", "longest"), [(5, 2, 16), (3, 1, 4), (7, 3, 3)])
def test_it_finds_what_the_readable_form_finds(
    tmp_path: Path, dtype: Any, reach: int, taps: int, shortest: int, longest: int
) -> None:
    rng = np.random.default_rng(taps + reach)
    store = random_store(tmp_path, dtype, [90, 0, 60, 1], HIDDEN)
    vectors = random_vectors(rng, 2, HIDDEN)
    tables = [rng.normal(size=2 * reach + 1).astype(np.float32) for _ in range(3)]
    start, end = rng.normal(size=(2, taps)).astype(np.float32)
    heads = Heads(start, end, shortest, longest, Biases(*tables) if reach else None)
    jobs = random_jobs(rng, store, 120, 30)
    wanted = oracle(store, vectors, jobs, heads)
    for threads in (1, 3):
        found = Kernel(store, threads).score(vectors, jobs, heads)
        for column in fields(found):
            values = getattr(found, column.name)
            assert np.isfinite(values).all()
            expected = getattr(wanted, column.name)
            # Of cosines and of their differences the scale is 1, however small all of one column are.
            numeric.close(values, expected, scale=max(1.0, float(np.abs(expected).max())))
    assert (found.relevance[0], found.end[0]) == (-1.0, -1)
    assert found.found.sum() == (jobs.lengths >= shortest).sum()


def test_the_best_clip_is_the_spans_most_like_the_query(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    store = random_store(tmp_path, "float16", [90, 60], HIDDEN)
    vectors, jobs = random_vectors(rng, 2, HIDDEN), random_jobs(rng, store, 60, 30)
    start, end = rng.normal(size=(2, 5)).astype(np.float32)
    # What a clip's place adds to its score says nothing of how it looks.
    biases = Biases(*rng.normal(scale=3, size=(3, 9)).astype(np.float32))
    found = Kernel(store, 1).score(vectors, jobs, Heads(start, end, 2, 16, biases))
    for row, (first, last, best) in enumerate(zip(found.start, found.end, found.best, strict=True)):
        clips = store.streams[VIDEO].units(jobs.rows[row] + np.arange(first, last + 1))
        cosines = clips @ vectors.unit_video[jobs.queries[row]]
        assert best == (first + cosines.argmax() if len(cosines) else -1)


def test_ties_go_to_the_earlier_start_then_end(tmp_path: Path) -> None:
    nothing = np.zeros((12, HIDDEN), np.float32)
    write_encoded(tmp_path / "encoded", HIDDEN, 1.0, "float16", [(nothing, nothing)], "abc")
    store = EncodedStore.open(tmp_path)
    heads = Heads(np.ones(5, np.float32), np.ones(5, np.float32), 2, 5)
    columns = [np.array([value]) for value in (0, 12, 0, 11, 0)]
    vectors = random_vectors(np.random.default_rng(0), 1, HIDDEN)
    found = Kernel(store, 1).score(vectors, Jobs(*columns), heads)
    assert (found.start[0], found.end[0], found.best[0]) == (0, 1, 0)
    assert (found.relevance[0], found.span_relevance[0], found.contrast[0]) == (0.0, 0.0, 0.0)
    assert found.log_start[0] == pytest.approx(-np.log(12))


def test_many_threads_share_few_clips_and_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "FEW_CLIPS", 10)
    rng = np.random.default_rng(3)
    store = random_store(tmp_path, "float16", [200], HIDDEN)
    vectors = random_vectors(rng, 2, HIDDEN)
    start, end = rng.normal(size=(2, 5)).astype(np.float32)
    heads = Heads(start, end, 2, 16)
    for n in (3, 50):
        jobs = random_jobs(rng, store, n, 30)
        alone, shared = (Kernel(store, threads).score(vectors, jobs, heads) for threads in (1, 7))
        for column in fields(alone):
            np.testing.assert_array_equal(getattr(alone, column.name), getattr(shared, column.name))
    empty = Jobs(*(np.zeros(0, np.int64) for _ in range(5)))
    assert len(Kernel(store, 2).score(vectors, empty, heads)) == 0


def test_without_a_place_for_the_cache_it_compiles_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    real = numba.njit

    def njit(**options: Any) -> Any:
        if options.get("cache"):
            raise RuntimeError("cannot cache function: no locator available")
        return real(**options)

    monkeypatch.setattr(numba, "njit", njit)

    def add(a: int, b: int) -> int:
        return a + b

    assert compiling.compiled()(add)(2, 3) == 5


def test_commands_and_index_workers_start_without_numba() -> None:
    code = "import sys, spr_cli.main, workers.index.__main__; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
