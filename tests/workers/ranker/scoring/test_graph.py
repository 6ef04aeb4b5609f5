import dataclasses
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests import numeric
from tests.workers.ranker.contexts import oracle, random_store, random_vectors
from tests.workers.ranker.on_gpu import needs_gpu
from workers.ranker.scoring import graph
from workers.ranker.scoring.evidence import Biases, Evidence, Heads, Jobs, QueryVectors
from workers.ranker.scoring.graph import DeviceScoring, Rows, step
from workers.ranker.stores.contexts import EncodedStore

HIDDEN = 24
CPU = torch.device("cpu")


def random_heads(rng: np.random.Generator, reach: int, shortest: int = 2, longest: int = 16) -> Heads:
    start, end = rng.normal(size=(2, 5)).astype(np.float32)
    tables = [rng.normal(size=2 * reach + 1).astype(np.float32) for _ in range(3)]
    return Heads(start, end, shortest, longest, Biases(*tables) if reach else None)


def random_jobs(rng: np.random.Generator, store: EncodedStore, n: int, longest: int) -> Jobs:
    lengths = rng.integers(0, longest + 1, n)
    rows = rng.integers(0, store.clips.sum() - longest, n)
    first = rng.integers(0, np.maximum(lengths, 1))
    return Jobs(rows, lengths, first, rng.integers(first, np.maximum(lengths, 1)), rng.integers(0, 3, n))


def assert_same(found: Evidence, wanted: Evidence) -> None:
    for column in fields(wanted):
        values, expected = getattr(found, column.name), getattr(wanted, column.name)
        assert values.dtype == expected.dtype
        # Of cosines and of their differences the scale is 1, however small all of one column are.
        numeric.close(values, expected, scale=max(1.0, float(np.abs(expected).max())))


def case(
    folder: Path, dtype: Any = "float16", reach: int = 4
) -> tuple[np.random.Generator, EncodedStore, QueryVectors, Heads]:
    rng = np.random.default_rng(reach)
    store = random_store(folder, dtype, [90, 0, 60, 1], HIDDEN)
    return rng, store, random_vectors(rng, 3, HIDDEN), random_heads(rng, reach)


@pytest.mark.parametrize("dtype", ["float16", "int8", "int5"])
@pytest.mark.parametrize("reach", [0, 4])
def test_padded_shapes_find_what_exact_ones_find(tmp_path: Path, dtype: Any, reach: int) -> None:
    rng, store, vectors, heads = case(tmp_path, dtype, reach)
    scoring = DeviceScoring(store, CPU)
    for n, longest in ((1, 1), (5, 3), (33, 9), (120, 30), (32, 8), (7, 1)):
        jobs = random_jobs(rng, store, n, longest)
        jobs.lengths[0] = longest
        assert_same(scoring.score(vectors, jobs, heads), oracle(store, vectors, jobs, heads))
    # Buffers still hold what an earlier, larger batch of the same shape left in them.
    assert_same(scoring.score(vectors, jobs, heads), oracle(store, vectors, jobs, heads))


def test_large_batches_are_split_and_other_heads_are_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng, store, vectors, heads = case(tmp_path)
    jobs = random_jobs(rng, store, 120, 30)
    scoring = DeviceScoring(store, CPU)
    whole = scoring.score(vectors, jobs, heads)
    monkeypatch.setattr(graph, "MOST_CLIPS", 64)
    monkeypatch.setattr(graph, "MOST_GRAPHS", 2)
    assert_same(scoring.score(vectors, jobs, heads), whole)
    other = dataclasses.replace(heads, min_span=1, max_span=3)
    assert_same(scoring.score(vectors, jobs, other), oracle(store, vectors, jobs, other))


def test_nothing_to_judge(tmp_path: Path) -> None:
    _, store, vectors, heads = case(tmp_path)
    empty = Jobs(*(np.zeros(4, np.int64) for _ in range(5)))
    assert_same(DeviceScoring(store, CPU).score(vectors, empty, heads), Evidence.empty(4))
    assert len(DeviceScoring(store, CPU).score(vectors, empty.take(np.zeros(0, np.int64)), heads)) == 0


def test_the_step_asks_the_host_for_nothing(tmp_path: Path) -> None:
    # Tensors without values: what needs one, or makes a shape of one, raises.
    _, store, _, heads = case(tmp_path, "int8")
    meta = torch.device("meta")
    streams = [Rows.of(stream, meta) for stream in store.streams.values()]
    inputs = torch.zeros((5, 32), dtype=torch.int64, device=meta), torch.zeros((4, 3, HIDDEN), device=meta)
    out = step(streams, graph._placed(heads, meta), 16, *inputs)
    assert out.shape == (8, 32)


def test_a_step_that_cannot_be_captured_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    rng, store, vectors, heads = case(tmp_path)
    scoring = DeviceScoring(store, CPU)
    scoring.captures = True
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", object)
    monkeypatch.setattr(torch.cuda, "Stream", _refuse)
    for n in (20, 50, 120):
        jobs = random_jobs(rng, store, n, 30)
        assert_same(scoring.score(vectors, jobs, heads), oracle(store, vectors, jobs, heads))
    assert not scoring.captures
    assert [record.message for record in caplog.records].count(graph_warning()) == 1


def test_graphs_of_other_heads_do_not_use_the_memory_of_those_that_are_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng, store, vectors, heads = case(tmp_path)
    pools: list[Any] = []

    def captured(_: graph.Graph, pool: Any) -> bool:
        pools.append(pool)
        return True

    monkeypatch.setattr(torch.cuda, "graph_pool_handle", object)
    monkeypatch.setattr(graph.Graph, "capture", captured)
    scoring = DeviceScoring(store, CPU)
    scoring.captures = True
    for one in (heads, heads, dataclasses.replace(heads, min_span=1)):
        for longest in (8, 30):
            jobs = random_jobs(rng, store, 20, longest)
            jobs.lengths[0] = longest
            scoring.score(vectors, jobs, one)
    first, second, third, fourth = pools
    assert first is second
    assert second is not third
    assert third is fourth


@needs_gpu
def test_on_cuda_it_is_one_graph_and_finds_the_same(tmp_path: Path) -> None:
    rng, store, vectors, heads = case(tmp_path)
    scoring = DeviceScoring(store, torch.device("cuda"))
    for n in (20, 50, 120, 40):
        jobs = random_jobs(rng, store, n, 30)
        assert_same(scoring.score(vectors, jobs, heads), oracle(store, vectors, jobs, heads))
    other = dataclasses.replace(heads, min_span=1, max_span=3)
    assert_same(scoring.score(vectors, jobs, other), oracle(store, vectors, jobs, other))
    assert scoring.captures


def graph_warning() -> str:
    return "ranking is not one CUDA graph: its step is called"


def _refuse() -> None:
    raise RuntimeError("no capture here")
