"""A tiny collection of real features, and the whole search over it in one process."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from engine import merge
from engine.proposals import propose
from engine.queries import SearchOptions
from engine.ranking import coarse, ordered
from engine.types import EncodedQuery, Floats, Hits, Moments, RankQuery
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
        self.frames = [np.asarray(store.rows(v, "frames"), np.float32) for v in self.ids]
        self.segments = [self._segments(rows) for rows in self.frames]

    def search(self, text: str, top_k: int = 400, refine: bool = True) -> Moments:
        (query,) = self.models.encode([text])
        return self.answer(query, top_k, refine)

    def shown(self, examples: Sequence[Floats], text: str = "", weight: float = 0.65) -> Moments:
        """Search by examples, each the rows (n, WIDTH) of its frames."""
        segments = [unit(self._segments(rows).mean(axis=0)) for rows in examples]
        frames = unit(np.mean([unit(unit(rows).mean(axis=0)) for rows in examples], axis=0))
        everything = np.concatenate([unit(rows) for rows in self.frames])
        embedding, seen = unit(np.mean(segments, axis=0)), unit(frames - everything.mean(axis=0))
        (query,) = self.models.encode([text or TEXTS[0]])
        tokens = query.token_states[:0]
        if text:
            tokens = query.token_states
            embedding = unit(weight * embedding + (1 - weight) * query.embedding)
            seen = unit(weight * seen + (1 - weight) * unit(query.text_embedding))
        return self.answer(EncodedQuery(embedding, tokens, seen, query.model_id))

    def answer(self, query: EncodedQuery, top_k: int = 400, refine: bool = True) -> Moments:
        """Search by vectors."""
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
        return unit(segment_inputs(unit(frames), 4).mean(axis=1))


def unit(rows: Floats) -> Floats:
    return np.asarray(rows / np.linalg.norm(rows, axis=-1, keepdims=True), np.float32)
