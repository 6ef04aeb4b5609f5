"""A corpus of the published size through every command: made, built, served, searched, sent out and back.

19,614 videos, 383,828 segments, 768 wide: about ten minutes on two cores and 25 GB of disk, so it runs only
when asked for (make nightly). SPR_NIGHTLY_SCALE takes a share of it; SPR_DURATIONS names a file of real
durations. What every step took is printed (pytest -s).
"""

import filecmp
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.system.service import launch, running, write_topology
from tests.system.world import SPR
from trainer.collection.annotations import load_queries
from trainer.collection.places import features_directory
from trainer.collection.queries import QueryFeatures
from trainer.formats.durations import SEGMENTS, VIDEOS
from workers.feature_store.store import FeatureStore

pytestmark = [pytest.mark.nightly, pytest.mark.timeout(3600)]

SCALE = float(os.environ.get("SPR_NIGHTLY_SCALE", "1"))
QUERIES, SHOWN, DEPTH = 40, 5, 50


@pytest.fixture
def folder() -> Iterator[Path]:
    """Return a folder that is gone after the test: what pytest keeps of three runs would be 75 GB."""
    with tempfile.TemporaryDirectory(prefix="spr-nightly-") as name:
        yield Path(name)


def spr(*arguments: object) -> Any:
    """Run a command, print what it took, and return the object that it prints."""
    began = time.monotonic()
    with tempfile.TemporaryFile("w+") as out:
        process = subprocess.Popen([*SPR, *map(str, arguments), "--json"], stdout=out)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0, arguments
        took(" ".join(map(str, arguments[:2])), began, f"{usage.ru_maxrss / 2**20:.1f} GB at most")
        out.seek(0)
        return json.load(out)


def took(what: str, began: float, more: str = "") -> None:
    print(f"{what:40} {time.monotonic() - began:7.1f} s  {more}", flush=True)


def size(folder: Path) -> str:
    return f"{sum(path.stat().st_size for path in folder.rglob('*') if path.is_file()) / 2**30:.1f} GB"


def test_the_published_size(folder: Path) -> None:
    first, second, out = folder / "first", folder / "second", folder / "out"
    durations = os.environ.get("SPR_DURATIONS")
    made = spr(
        "corpus", "synthesize-features", first, "--like", "tvr-ranking", "--scale", SCALE,
        "--queries", QUERIES, *(["--durations", durations] if durations else []),
    )  # fmt: skip
    if SCALE == 1:
        assert (made["videos"], made["segments"]) == (VIDEOS, SEGMENTS)
    table = served(first, folder)
    exported = spr("corpus", "export-tvr-ranking", first, out, "--device", "cpu")
    assert (exported["videos"], exported["segments"]) == (made["videos"], made["segments"])
    imported = spr("corpus", "import-tvr-ranking", out, "--collection", second)
    assert (imported["encoder"], imported["new_videos"]) == (made["encoder"], made["videos"])
    assert len(list((out / "TVR/TVR-Ranking/seg_feats").iterdir())) == made["videos"]
    print(f"sizes: collection with a version {size(first)}, export {size(out)}")
    shutil.rmtree(out)
    same(first, second)
    shutil.rmtree(first)
    assert served(second, folder) == table


def served(collection: Path, folder: Path) -> Any:
    """Build and serve the collection, compare answers with brute force, and return the table of an eval."""
    built = spr("build", collection, "--index", "flat", "--shards", 2, "--device", "cpu")
    truth = collection / "annotations" / "test.json"
    texts = [query.query for query in load_queries(truth)]
    began = time.monotonic()
    scores = brute_force(collection, texts[:SHOWN])
    took("brute force", began)
    began = time.monotonic()
    topology = write_topology(folder / "topology.toml", collection)
    with running(folder / "log.jsonl", str(topology), start=launch) as service:
        took("serve, until ready", began)
        for text, (names, numbers, row) in zip(texts, scores, strict=False):
            answer = spr(
                "search", text, "--address", service.address, "--no-rerank", "--top", 100,
                "--segment-top-k", DEPTH, "--adjacent", "--timeout", 60,
            )  # fmt: skip
            found = {
                (moment["video"], number)
                for moment in answer["moments"]
                for number in range(int(moment["start"] // 4), int(np.ceil(moment["end"] / 4)))
            }
            border = np.partition(row, -DEPTH)[-DEPTH]
            sure, maybe = row > border + 1e-6, row >= border - 1e-6
            assert len(found) == DEPTH
            assert {(names[n], int(numbers[n])) for n in np.flatnonzero(sure)} <= found
            assert found <= {(names[n], int(numbers[n])) for n in np.flatnonzero(maybe)}
        report = spr("eval", "--address", service.address, "--truth", truth)
    assert report["retrieval"]["VideoRecall"] > 0.5
    assert built["segments"] == len(scores[0][2])
    return {stage: report[stage] for stage in ("retrieval", "coarse", "refined")}


Scores = tuple[list[str], NDArray[np.int64], NDArray[np.float32]]


def brute_force(collection: Path, texts: list[str]) -> list[Scores]:
    """Return, for every sentence, the videos, numbers and cosines of all segments: means of unit frames."""
    store = FeatureStore.open(features_directory(collection))
    queries = QueryFeatures(collection / "queries" / features_directory(collection).name).pooled(texts)
    queries = queries / np.linalg.norm(queries, axis=1, keepdims=True)
    names, numbers, rows = [], [], []
    for video in store.ids():
        frames = np.asarray(store.rows(video, "frames"), np.float32)
        frames = np.concatenate([frames, np.repeat(frames[-1:], -len(frames) % 4, axis=0)])
        unit = frames / np.linalg.norm(frames, axis=1, keepdims=True)
        means = unit.reshape(-1, 4, unit.shape[1]).mean(axis=1)
        rows.append(queries @ (means / np.linalg.norm(means, axis=1, keepdims=True)).T)
        names += [video] * len(means)
        numbers.append(np.arange(len(means)))
    return [(names, np.concatenate(numbers), row) for row in np.concatenate(rows, axis=1)]


def same(first: Path, second: Path) -> None:
    """Whether two collections are the same bytes of features and queries, and the same annotations."""
    one, other = features_directory(first), features_directory(second)
    assert one.name == other.name
    for file in ("store.json", "frames.bin", "subtitles.bin", "journal.jsonl"):
        assert filecmp.cmp(one / file, other / file, shallow=False), file
    for name in ("test", "corpus_test"):
        given, again = (path / "annotations" / f"{name}.json" for path in (first, second))
        assert json.loads(given.read_text()) == json.loads(again.read_text())
    texts = [query.query for query in load_queries(first / "annotations" / "test.json")]
    given_queries, queries = (QueryFeatures(path / "queries" / one.name) for path in (first, second))
    np.testing.assert_array_equal(given_queries.pooled(texts), queries.pooled(texts))
    for text in texts:
        np.testing.assert_array_equal(given_queries.tokens(text), queries.tokens(text))
