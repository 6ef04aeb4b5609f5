"""Seeded noise as a corpus, searched and judged by brute force."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from engine import manifest as manifests
from engine.catalogue import CATALOGUE, Catalogue
from engine.types import Floats, Hits

DIM, SEGMENT, MODEL, RANKER = 8, 4.0, "enc/mean-pool", "oracle@1"


def unit(rows: Floats) -> Floats:
    result: Floats = (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)
    return result


def sentence(text: str) -> Floats:
    return unit(np.random.default_rng(zlib.crc32(text.encode())).normal(size=DIM).astype(np.float32))


@dataclass
class Corpus:
    """Videos of 1..9 segments, the last of which may be cut short. generation: its id, once written."""

    videos: int = 12
    shards: int = 2
    seed: int = 0
    folder: str = "/videos"
    vectors: list[Floats] = field(default_factory=list)
    durations: list[float] = field(default_factory=list)
    generation: str = ""

    def __post_init__(self) -> None:
        random = np.random.default_rng(self.seed)
        for _ in range(self.videos):
            n = int(random.integers(1, 10))
            self.vectors.append(unit(random.normal(size=(n, DIM)).astype(np.float32)))
            self.durations.append(float(n * SEGMENT - random.uniform(0, SEGMENT - 0.1)))

    def ids(self) -> list[str]:
        return [f"video-{i:03d}" for i in range(self.videos)]

    def of_shard(self, shard: int) -> list[int]:
        return [video for video in range(self.videos) if video % self.shards == shard]

    def write(self, directory: Path) -> Path:
        """Write the collection with one generation, all but its shards; return its directory."""
        generation = directory / "generations" / "building"
        generation.mkdir(parents=True)
        Catalogue(
            ids=self.ids(),
            uris=[f"file://{self.folder}/{name}.mp4" for name in self.ids()],
            durations=np.array(self.durations),
            segments=np.array([len(rows) for rows in self.vectors], np.int32),
            shards=np.array([video % self.shards for video in range(self.videos)], np.int32),
        ).write(generation)
        self.generation = manifests.write(generation, self.manifest(generation)).id
        generation.rename(generation.with_name(self.generation))
        manifests.activate(directory, self.generation)
        return directory

    def manifest(self, generation: Path) -> manifests.Manifest:
        shards = []
        for shard in range(self.shards):
            videos = self.of_shard(shard)
            segments = sum(len(self.vectors[video]) for video in videos)
            shards.append(manifests.ShardEntry(f"shard-{shard:05d}", len(videos), segments))
        return manifests.Manifest(
            id="",
            created="2026-01-02T03:04:05+00:00",
            collection="default",
            encoder=manifests.EncoderEntry("enc", "enc"),
            projector=None,
            ranker=None,
            embedding_model=MODEL,
            dim=DIM,
            segment_length=SEGMENT,
            factory="Flat",
            quantizer_sha256="",
            videos=self.videos,
            segments=sum(shard.segments for shard in shards),
            shards=tuple(shards),
            streams={},
            files=manifests.describe_files(generation, [CATALOGUE]),
        )

    def search(self, vector: Floats, videos: Sequence[int], top_k: int) -> Hits:
        """Return the best segments of some videos, exhaustively."""
        rows = [
            (-float(row @ vector), video, segment)
            for video in videos
            for segment, row in enumerate(self.vectors[video])
        ]
        best = sorted(rows)[:top_k]
        columns: list[Any] = list(zip(*best, strict=True)) if best else [[], [], []]
        scores = -np.array(columns[0], np.float32)
        return Hits(np.array(columns[1], np.int32), np.array(columns[2], np.int32), scores)

    def judge(self, text: str, video: int, start: float, end: float) -> tuple[float, float, float]:
        """Return the refined start, end and score of a proposal."""
        quarter = (end - start) / 4
        return (
            start + quarter,
            end - quarter,
            float(self.vectors[video][int(start / SEGMENT)] @ sentence(text)),
        )
