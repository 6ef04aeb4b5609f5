"""A tiny collection whose texts live in a turned frame space: mean pooling finds little, training much."""

from pathlib import Path

import numpy as np

from trainer.collection.annotations import JudgedMoment, JudgedQuery, save_corpus, save_queries
from trainer.collection.queries import POOLED, TOKENS, text_key
from trainer.projector.settings import ProjectorSettings, ProjectorShape
from workers.feature_store.store import FeatureStore, Stream

DIM, CONCEPTS = 16, 12
ENCODER = "0123456789abcdef"
SETTINGS = ProjectorSettings(
    model=ProjectorShape(layers=1, heads=2),
    init="identity",
    logit_scale=2.5,
    threshold=0.3,
    steps=60,
    batch=32,
    lr=3e-3,
    eval_every=20,
    log_every=1,
    save_every=7,
    recall_at=(5, 10),
    select="weighted-recall@10",
    seed=3,
)


def make_collection(directory: Path, seed: int = 0, spoken: bool = False) -> Path:
    """Write features of 16 videos, judged queries and their features; no encoder is needed to train on it.

    spoken: what queries ask is in the subtitles, and the frames are noise.
    """
    rng = np.random.default_rng(seed)
    looks = rng.standard_normal((CONCEPTS, DIM))
    turn = np.linalg.qr(rng.standard_normal((DIM, DIM)))[0]
    splits = {"train": [f"train{n}" for n in range(10)], "val": [f"val{n}" for n in range(6)]}
    shown: dict[str, list[int]] = {}
    meta = {"fingerprint": ENCODER, "encoder": "none", "source": str(directory / "no-encoder")}
    features = directory / "features" / ENCODER
    streams = {name: Stream(DIM, 1.0) for name in ("frames", *(["subtitles"] if spoken else []))}
    with FeatureStore.create(features, streams, "float16", meta) as store:
        for video in splits["train"] + splits["val"]:
            shown[video] = rng.integers(0, CONCEPTS, 8).tolist()
            frames = np.repeat(looks[shown[video]], 4, axis=0) + 0.3 * rng.standard_normal((32, DIM))
            rows = {"frames": frames[:30]}
            if spoken:
                rows = {"frames": rng.standard_normal((30, DIM)), "subtitles": frames[:30]}
            store.append(video, rows, duration=30.0)
    texts = {f"{split} query {n}": n % CONCEPTS for split in splits for n in range(2 * CONCEPTS)}
    streams = {POOLED: Stream(DIM, 1.0), TOKENS: Stream(DIM, 1.0)}
    with FeatureStore.create(directory / "queries" / ENCODER, streams, "float32") as store:
        for text, concept in texts.items():
            pooled = looks[concept] @ turn + 0.3 * rng.standard_normal(DIM)
            store.append(text_key(text), {POOLED: pooled[None], TOKENS: np.zeros((2, DIM))})
    for split, videos in splits.items():
        queries = [
            JudgedQuery(number, text, moments(concept, videos, shown, None if split == "train" else 4.0))
            for number, (text, concept) in enumerate(texts.items())
            if text.startswith(split)
        ]
        save_queries(directory / "annotations" / f"{split}.json", queries)
        save_corpus(directory / "annotations" / f"corpus_{split}.json", dict.fromkeys(videos, 30.0))
    return directory


def moments(
    concept: int, videos: list[str], shown: dict[str, list[int]], relevance: float | None
) -> tuple[JudgedMoment, ...]:
    """Return the moments of some videos that show a concept."""
    return tuple(
        JudgedMoment(
            8 * number + at,
            video,
            4.0 * at,
            min(4.0 * at + 4, 30.0),
            30.0,
            f"concept {concept}",
            0.9,
            relevance,
        )
        for number, video in enumerate(videos)
        for at, other in enumerate(shown[video])
        if other == concept
    )
