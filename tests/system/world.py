"""A tiny collection of real features, and the whole search over it in one process."""

import json
import sys
from pathlib import Path

import numpy as np

from engine import merge
from engine.proposals import propose
from engine.queries import SearchOptions
from engine.ranking import coarse, ordered
from engine.types import Floats, Hits, Moments, RankQuery
from tests.workers.ranker.factories import TEXTS, WIDTH, tiny_clip
from trainer.generation.build import BuildConfig, build
from workers.feature_store.store import FeatureStore, Stream
from workers.ranker.encoder.encoder import Encoder
from workers.ranker.models import Models
from workers.ranker.projection.segments import segment_inputs

SPR = [sys.executable, "-m", "spr_cli.main"]


def collection(path: Path, shards: int = 2) -> Path:
    """Build a version of nine videos; each sentence of TEXTS is shown once, for 8 s."""
    source = tiny_clip(path / "models" / "encoder" / "tiny")
    encoder = Encoder.load(str(source), "cpu")
    shown = encoder.text(TEXTS).pooled
    random = np.random.default_rng(3)
    streams = {"frames": Stream(WIDTH, 1.0), "subtitles": Stream(WIDTH, 1.0)}
    meta = {"encoder": "tiny", "source": str(source), "fingerprint": encoder.fingerprint}
    folder = path / "features" / encoder.fingerprint
    with FeatureStore.create(folder, streams, "float16", meta) as store:
        for video in range(9):
            seconds = int(random.integers(20, 60))
            frames = 0.5 * random.normal(size=(seconds, WIDTH)) * np.linalg.norm(shown[0]) / np.sqrt(WIDTH)
            if video % 3 == 0:
                start = int(random.integers(0, seconds - 8))
                frames[start : start + 8] += shown[video // 3]
            arrays = {"frames": frames, "subtitles": np.zeros((seconds, WIDTH))}
            store.append(f"video-{video}", arrays, uri=f"file:///{video}.mp4", duration=seconds - 0.5)
    (path / "collection.json").write_text(json.dumps({"name": "tiny", "format": 1}))
    build(BuildConfig(collection=path, shards=shards, device="cpu"))
    return path


class Oracle:
    """The same search in one process: every segment compared, no index, no server."""

    def __init__(self, path: Path) -> None:
        self.models = Models.open(path, device="cpu")
        store = FeatureStore.open(path / "features" / self.models.encoder.fingerprint)
        self.ids = sorted(store.ids())
        self.durations = np.array([store.record(video).duration for video in self.ids])
        self.segments = [self._segments(np.asarray(store.rows(v, "frames"), np.float32)) for v in self.ids]

    def search(self, text: str, top_k: int = 400, refine: bool = True) -> Moments:
        (query,) = self.models.encode([text])
        parts = [
            Hits(
                np.full(len(rows), video, np.int32),
                np.arange(len(rows), dtype=np.int32),
                (rows @ query.embedding).astype(np.float32),
            )
            for video, rows in enumerate(self.segments)
        ]
        proposals = propose(merge.top_k(parts, top_k), self.durations, 4.0, SearchOptions().rule)
        if not refine:
            return coarse(proposals)
        (ranked,) = self.models.ranker.rank_many([RankQuery.of(query, proposals)], self.models.features)
        return ordered(proposals, ranked)

    @staticmethod
    def _segments(frames: Floats) -> Floats:
        unit = frames / np.linalg.norm(frames, axis=1, keepdims=True)
        means = segment_inputs(unit, 4).mean(axis=1)
        return np.asarray(means / np.linalg.norm(means, axis=1, keepdims=True), np.float32)
