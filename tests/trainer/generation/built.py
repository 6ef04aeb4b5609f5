"""A small collection of random features, to build versions of."""

import json
import os
import signal
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from engine.corpus import open_corpus
from engine.types import Floats, Hits
from tests import apart
from tests.workers.index.factories import merged
from trainer.generation.build import BuildConfig, BuildReport, build
from workers.feature_store.shares import Share
from workers.feature_store.store import FeatureStore, Stream
from workers.index.part import DIRECTORY, IndexPart

ENCODER = "e0e0e0e0e0e0e0e0"
DIM = 16
FRAMES = {f"video {number:02d}": 9 + 7 * number for number in range(12)}


def features(video: str, rows: int, dim: int = DIM) -> Floats:
    rng = np.random.default_rng(sum(video.encode()))
    return (rng.standard_normal((rows, dim)) + 3 * rng.standard_normal(dim)).astype(np.float32)


def collection(
    path: Path, frames: Mapping[str, int] = FRAMES, encoder: str = ENCODER, dim: int = DIM, writers: int = 1
) -> Path:
    """Make the features of a collection, of as many parts as there are writers."""
    streams = {"frames": Stream(dim, 1.0), "subtitles": Stream(dim, 1.0)}
    meta = {"encoder": "tiny", "source": "tiny", "fingerprint": encoder}
    for index in range(writers):
        share = Share(index, writers)
        with FeatureStore.ensure(path / "features" / encoder, streams, "float16", meta, share) as store:
            for video, rows in list(frames.items())[index::writers]:
                arrays = {
                    "frames": features(video, rows, dim),
                    "subtitles": np.zeros((rows, dim), np.float32),
                }
                store.append(video, arrays, f"file:///{video}.mp4", f"sha of {video}", rows - 0.5)
    (path / "collection.json").write_text(json.dumps({"name": "tiny", "format": 1}))
    return path


def mean_pooled(path: Path, frames: Mapping[str, int] = FRAMES) -> dict[tuple[int, int], Floats]:
    """{(ordinal, segment): unit vector}, computed a second way."""
    store = FeatureStore.open(path / "features" / ENCODER)
    vectors = {}
    for ordinal, video in enumerate(sorted(frames)):
        rows = np.asarray(store.rows(video, "frames"), np.float64)
        rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        for segment in range(-(-len(rows) // 4)):
            four = [rows[min(4 * segment + row, len(rows) - 1)] for row in range(4)]
            mean = np.mean(four, axis=0)
            vectors[ordinal, segment] = (mean / np.linalg.norm(mean)).astype(np.float32)
    return vectors


def killed_build(path: Path, stage: str) -> int:
    """Build in another process that is killed when it reaches `stage`; return its exit status."""
    return apart.call(Path(os.devnull), _build_until, path, stage)


def _build_until(path: Path, last: str) -> None:
    def progress(stage: str, done: int, total: int) -> None:
        if stage == last:
            os.kill(os.getpid(), signal.SIGKILL)

    build(BuildConfig(collection=path, shards=2), progress)


def search(path: Path, report: BuildReport, queries: Floats, k: int) -> list[Hits]:
    """Return the best segments of a version, by ordinal, one list a query."""
    answers = []
    for part in open_corpus(path, report.id).parts:
        found = IndexPart.open(part.directory / DIRECTORY).search(queries, k)
        answers.append([Hits(part.ordinals[hits.videos], hits.segments, hits.scores) for hits in found])
    return [merged([answer[query] for answer in answers], k) for query in range(len(queries))]


def parts_there(path: Path) -> list[str]:
    """Return the names of all directories of parts, unfinished ones too."""
    return sorted(part.name for part in (path / "parts").glob("*"))
