import json
import subprocess
import sys
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import pytest

from bench import adding, building, catalogues, corpus, registry, service
from bench import supervised as bench_supervised
from bench.results import Setup
from bench.sizes import TINY
from bench.targets import TARGETS
from engine import versions
from engine.corpus import open_corpus
from engine.errors import InvalidInput, Unavailable
from engine.version_lock import only_writer
from tests import numeric
from tests.forked import Supervisor
from trainer.library.compacting import compact
from trainer.library.policy import MOST

# load and overload are what search is, with more clients; they are run by hand. search and living have tests
# of their own.
STAGES = [
    stage
    for stage in registry.STAGES
    if stage not in ("ingest", "peers", "search", "load", "overload", "living")
]


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Setup:
    return Setup(TINY, tmp_path_factory.mktemp("bench"), threads=1)


def measured(stage: str, setup: Setup) -> dict[str, Any]:
    """Run a stage; return its figures by key, each of them a measurement."""
    found = json.loads(json.dumps(registry.run_here(stage, setup)))
    rows = {row["key"]: row for row in found["rows"]}
    assert len(rows) == len(found["rows"]) > 0
    for row in found["rows"]:
        assert row["way"] in ("ours", "published", "floor")
        assert np.isfinite(row["value"])
        # What the path adds may be lost in the noise of a few calls.
        assert row["value"] > 0 or row["key"] == "overhead"
    return rows


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_measures_something(stage: str, setup: Setup) -> None:
    measured(stage, setup)


def test_some_rows_of_a_corpus_are_those_of_all() -> None:
    counts = corpus.videos_for(40_000)
    only = np.sort(np.random.default_rng(0).choice(int(counts[:100].sum()), 50, replace=False))
    only = np.append(only, counts.sum() - 1)
    whole, some = (list(corpus.blocks(counts, 8, only=rows)) for rows in (None, only))
    for all_of, few in zip(zip(*whole, strict=True), zip(*some, strict=True), strict=True):
        np.testing.assert_array_equal(np.concatenate(all_of)[only], np.concatenate(few))


def supervised(topology: str) -> None:
    """Be `python -m bench.supervised` in a forked process."""
    sys.argv = ["supervised", topology]
    sys.exit(bench_supervised.main())


def forked(command: list[str], stderr: TextIO, **_: object) -> Supervisor:
    assert command[1:3] == ["-m", "bench.supervised"]
    return Supervisor(Path(stderr.name), command[3], main=supervised)


def test_a_search_measures_what_its_stages_compute(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "Popen", forked)
    stages = measured("search", setup)["floor"]["more"]
    assert all(stages[f"{stage}_ms"] > 0 for stage in ("retrieve", "propose", "rank"))
    # The coordinator remembers the query.
    assert stages["encode_ms"] == 0


@pytest.mark.nightly
def test_a_changing_corpus_is_measured_and_its_copy_removed(setup: Setup) -> None:
    rows = measured("living", setup)
    goals = [goal for target in TARGETS for goal in target.goals if goal.stage == "living"]
    assert {goal.key for goal in goals} <= rows.keys()
    assert all(rows[key]["more"]["of_one"] > 0 for key in ("many", "compacted"))
    assert not list(setup.cache.glob("living-*"))


def test_a_copy_of_a_collection_grows_and_is_compacted_beside_it(setup: Setup, tmp_path: Path) -> None:
    collection = building.collection(setup.cache, TINY)
    whole = corpus.load(setup.cache, TINY.share, TINY.dim)
    built = versions.read(collection)
    with adding.grown(collection, whole, tmp_path / "copy") as grown, only_writer(grown.folder):
        made = grown.with_parts([[2, 1], [3]])
        assert made.videos == built.videos + 6
        assert [len(shard.parts) for shard in made.shards] == [3, 2]
        assert len(open_corpus(grown.folder, made.id).catalogue) == made.videos
        versions.activate(grown.folder, made.id)
        merged = versions.read(grown.folder, compact(grown.folder).version)
        assert (merged.videos, [len(shard.parts) for shard in merged.shards]) == (made.videos, [1, 1])
    assert versions.read(collection) == built
    assert not (tmp_path / "copy").exists()


@pytest.mark.parametrize("adds", [5, 500])
def test_parts_that_adding_leaves_are_as_many_as_a_shard_may_have(adds: int) -> None:
    sizes = adding.sizes_after(9_800, adds)
    assert len(sizes) == min(adds, MOST - 1)
    assert sum(sizes) <= adds
    assert sizes == sorted(sizes, reverse=True)


def test_a_version_of_many_videos_is_written_read_and_opened(setup: Setup, tmp_path: Path) -> None:
    found = catalogues.measure(tmp_path / "many", building.collection(setup.cache, TINY), 4_000, 3)
    assert 0 < found.size < 20_000
    assert all(taken > 0 for taken in (found.written.median, found.read.median, found.opened))


def test_vectors_are_the_same_however_they_are_read(tmp_path: Path) -> None:
    one = corpus.load(tmp_path, 0.01, 32)
    again = corpus.load(tmp_path, 0.01, 32)
    assert (one.vectors == again.vectors).all()
    numeric.close(np.linalg.norm(one.vectors, axis=1), 1)
    assert len(one.videos) == one.counts.sum() == len(one.segments)
    best = np.argsort(-(one.queries[:3] @ one.vectors.T), axis=1, kind="stable")[:, :5]
    assert (corpus.exact(one.vectors, one.queries[:3], 5) == best).all()


@pytest.mark.parametrize("segments", [10, 5_000, 1_000_000])
def test_a_corpus_has_as_many_segments_as_asked(segments: int) -> None:
    counts = corpus.videos_for(segments)
    assert counts.sum() == segments
    assert counts.min() > 0


def test_an_unknown_stage_is_refused() -> None:
    with pytest.raises(InvalidInput, match="'speed' is not known"):
        registry.check(("speed",))
    assert registry.check(("rank", "floor")) == ["floor", "rank"]


def test_a_log_without_the_times_of_calls_is_refused(tmp_path: Path) -> None:
    log = tmp_path / "serve.log"
    log.write_text('{"message": "search", "request_id": "again-0", "ms": {"propose": 0.2}}\n')
    with pytest.raises(Unavailable, match=r"serve\.log has no times .* log_level debug"):
        service.stages(log, "again-")


def test_a_service_that_cannot_start_says_why(tmp_path: Path) -> None:
    topology = tmp_path / "topology.toml"
    topology.write_text('collection = "nothing"\n[[index]]\nshard = 0\nlisten = "127.0.0.1:1"\n')
    command = [sys.executable, "-m", "bench.supervised", str(topology)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode > 0
    assert ended.stderr.startswith("spr: ")
    assert "Traceback" not in ended.stderr
