"""A version is measured before it is kept, and refused when it finds too little."""

import dataclasses
import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest
import torch
from click.testing import CliRunner

from engine import parts, versions
from engine.entries import SearchEntry
from engine.errors import Mismatch
from engine.types import Floats, Hits
from spr_cli.main import cli
from tests.trainer.generation.built import ENCODER, collection, parts_there
from tests.workers.index.factories import clustered
from trainer.generation import check
from trainer.generation.build import BuildConfig, BuildReport, build
from trainer.generation.check import QUERIES, ExactAnswers
from workers.feature_store.store import FeatureStore, Stream
from workers.index.effort import Effort
from workers.index.factory import CODES, LISTED
from workers.index.part import IndexPart

DIM = 48
FRAMES = {f"v{number:02d}": 280 for number in range(12)}


def built(path: Path, **changes: object) -> BuildReport:
    return build(BuildConfig(**{"collection": path, **changes}))  # type: ignore[arg-type]


def measured(report: BuildReport) -> SearchEntry:
    assert report.search is not None
    return report.search


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return collection(tmp_path / "c", FRAMES, dim=DIM)


def add_queries(path: Path, count: int, dim: int = DIM) -> None:
    streams = {"pooled": Stream(dim, 1.0), "tokens": Stream(dim, 1.0)}
    rows = clustered(count, dim, seed=3)
    with FeatureStore.ensure(path / "queries" / ENCODER, streams, "float32", {}) as store:
        for number, row in enumerate(rows):
            store.append(f"{number:032d}", {"pooled": 7 * row[None], "tokens": row[None]})


def test_a_small_collection_is_searched_exactly(path: Path) -> None:
    report = built(path)
    assert (report.factory, measured(report).recall, measured(report).depth) == ("Flat", 1.0, 200)
    assert (measured(report).factor, measured(report).nprobe) == (0, 0)


def test_the_measure_is_kept_and_told_again(path: Path) -> None:
    report = built(path, index=CODES, recall=0.9, shards=2)
    search = measured(report)
    assert search == versions.read(path).search
    assert search == measured(built(path, index=CODES, recall=0.9, shards=2))
    assert (search.queries, search.real) == (QUERIES, 0)
    assert 0.9 <= search.recall <= 1
    assert search.milliseconds > 0


def test_the_collections_own_queries_are_asked(path: Path) -> None:
    add_queries(path, 20)
    assert measured(built(path)).real == 20
    add_queries(path, 100)
    assert measured(built(path, shards=2)).real == QUERIES


def test_queries_of_another_width_are_left_alone(path: Path) -> None:
    add_queries(path, 20, dim=8)
    assert measured(built(path)).real == 0


@pytest.mark.parametrize("shards", [1, 3])
def test_effort_is_raised_until_enough_is_found(path: Path, shards: int) -> None:
    few = built(path, index=f"IVF16,{LISTED}", nprobe=1, recall=0.3, shards=shards)
    many = built(path, index=f"IVF16,{LISTED}", nprobe=1, recall=0.97, shards=shards)
    assert 0.3 <= measured(few).recall < 0.97 <= measured(many).recall
    assert measured(few).nprobe < measured(many).nprobe
    for report in (few, many):
        assert len(report.parts) == shards
        for part in report.parts:
            opened = IndexPart.open(parts.directory(path, part) / "index")
            assert opened.effort == Effort(measured(report).factor, measured(report).nprobe)


def test_an_index_that_finds_too_little_is_refused_and_leaves_nothing(path: Path) -> None:
    first = built(path)
    with pytest.raises(Mismatch, match=r"finds 0\.\d+ .* nprobe 4, .* 0\.99 is asked: use --index flat"):
        built(path, index="IVF4,PQ4", nprobe=1, recall=0.99)
    assert versions.current(path) == first.id
    assert parts_there(path) == first.parts
    # Published types promise nothing unless they are asked.
    assert measured(built(path, index="IVF4,PQ4", nprobe=1)).recall < 0.99


def test_truth_is_brute_force() -> None:
    vectors = clustered(900, 16)
    vectors[700:] = vectors[:200]
    queries = clustered(7, 16, seed=2)
    truth = ExactAnswers(vectors, queries, [np.arange(0, 900, 30)])
    videos, segments = np.divmod(np.arange(900, dtype=np.int32), 30)

    class Half(IndexPart):
        """Finds every second of the best."""

        def search(self, queries, k, nprobe=None, factor=None, living=None):  # type: ignore[no-untyped-def]
            return [
                dataclasses.replace(
                    hits, videos=hits.videos[::2], segments=hits.segments[::2], scores=hits.scores[::2]
                )
                for hits in super().search(queries, k, nprobe, factor, living)
            ]

    index = faiss.IndexFlatIP(16)
    index.add(vectors)
    assert (truth.recalls([IndexPart(index, videos, segments)], Effort()) == 1).all()
    assert (truth.recalls([Half(index, videos, segments)], Effort()) == 0.5).all()


def test_the_command_line_says_what_was_measured(path: Path) -> None:
    arguments = ["build", os.fspath(path), "--index", CODES, "--recall", "0.9"]
    text = CliRunner().invoke(cli, arguments).stdout
    assert "of the 200 nearest segments of 64 queries (0 of the collection's)" in text
    found = json.loads(CliRunner().invoke(cli, [*arguments, "--json"]).stdout)
    assert found["search"]["factor"] >= 10


class _Shard:
    """Answers each query by its first value, and tells which queries came together and in which thread."""

    def __init__(self) -> None:
        self.blocks: list[int] = []
        self.threads: set[int] = set()

    def search(self, queries: Floats, k: int, nprobe: int | None, factor: int | None) -> list[Hits]:
        self.blocks.append(len(queries))
        self.threads.add(threading.get_ident())
        if (queries[:, 0] < 0).any():
            raise Mismatch("part p ends too early: copy it again.")
        none = np.zeros(1, np.int32)
        return [Hits(none, none, query[:1]) for query in queries]


@pytest.mark.parametrize(
    ("cores", "threads", "asked", "blocks"),
    [(8, 1, 7, [7]), (8, 3, 7, [3, 2, 2]), (2, 8, 7, [4, 3]), (8, 8, 2, [1, 1]), (8, 8, 0, [])],
)
def test_queries_are_shared_out_among_the_threads_that_may_be_used(
    cores: int, threads: int, asked: int, blocks: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    alone: set[tuple[int, int]] = set()
    monkeypatch.setattr(faiss, "omp_set_num_threads", lambda count: alone.add((threading.get_ident(), count)))
    monkeypatch.setattr(check, "cores", lambda: cores)
    torch.set_num_threads(threads)
    shards: Any = [_Shard(), _Shard()]
    queries = np.repeat(np.arange(asked, dtype=np.float32)[:, None], 4, axis=1)
    found = check.searched(shards, queries, 3, Effort())
    assert [[float(hits.scores[0]) for hits in one] for one in found] == [list(range(asked))] * 2
    for shard in shards:
        assert sorted(shard.blocks, reverse=True) == blocks
        # FAISS would take all cores in each.
        assert all((thread, 1) in alone for thread in shard.threads)


def test_an_error_of_a_thread_ends_the_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Event()

    class Pool(ThreadPoolExecutor):
        """Tells that it takes no more work."""

        def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
            super().shutdown(wait=False, cancel_futures=cancel_futures)
            ended.set()
            super().shutdown(wait)

    class Slow(_Shard):
        """Is searched until the others are left."""

        def search(self, queries: Floats, k: int, nprobe: int | None, factor: int | None) -> list[Hits]:
            ended.wait()
            return super().search(abs(queries), k, nprobe, factor)

    monkeypatch.setattr(check, "ThreadPoolExecutor", Pool)
    torch.set_num_threads(1)
    shards: Any = [_Shard(), Slow(), Slow()]
    with pytest.raises(Mismatch, match="ends too early"):
        check.searched(shards, np.full((3, 4), -1, np.float32), 3, Effort())
    assert shards[2].blocks == []
