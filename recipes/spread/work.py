"""What is ingested, with what, and whether two collections hold the same."""

import json
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from bench.models import texts
from recipes.steps import SPR
from trainer.encoder.model import ModelShape, build_model, image_processor
from trainer.encoder.tokenizer import train_tokenizer
from trainer.world.build import build_world
from workers.feature_store.store import FeatureStore
from workers.ranker.encoder.encoder import quietly

# Towers of ViT-S/32's size, nearly: what an archive is encoded with takes four times as long, or more.
ENCODER = ModelShape(image=224, patch=32, width=384, layers=12, heads=6, text_layers=2, dim=256)
# For what is only killed.
SMALL = ModelShape()


@dataclass(frozen=True, slots=True)
class Work:
    """Rendered videos, and the encoders in a folder."""

    out: Path
    videos: Path
    count: int

    @property
    def log(self) -> Path:
        """The file that takes what commands say."""
        return self.out / "commands.log"

    def command(
        self, into: Path, engine: str, *, encoder: str = "encoder", videos: Path | None = None
    ) -> list[str]:
        """Return an ingest into an empty collection."""
        shutil.rmtree(into, ignore_errors=True)
        paths = [str(videos or self.videos), "--collection", str(into), "--encoder", str(self.out / encoder)]
        return [
            *SPR,
            "ingest",
            *paths,
            "--limit",
            "0" if videos else str(self.count),
            "--engine",
            engine,
            "--json",
        ]


def make(out: Path, count: int) -> Work:
    """Make the videos and encoders in a folder; what is there is used."""
    world = out / f"world-{count}"
    if not (world / "world.json").is_file():
        build_world(world, count, seed=7)
    for name, shape in (("encoder", ENCODER), ("small", SMALL)):
        if not (out / name / "model.safetensors").is_file():
            _write_encoder(out / name, shape)
    return Work(out, world / "videos", count)


def _write_encoder(folder: Path, shape: ModelShape) -> None:
    torch.manual_seed(0)
    tokenizer = train_tokenizer(texts(1000), 2000, shape.max_tokens, 0)
    model = build_model(shape, len(tokenizer), tokenizer.bos_token_id, tokenizer.eos_token_id)
    with quietly():
        for part in (tokenizer, image_processor(shape), model):
            part.save_pretrained(folder)


def stored(collection: Path) -> Counter[str]:
    """Return how many lines of all journals each video has."""
    found = Counter[str]()
    for path in collection.glob("features/*/**/journal.jsonl"):
        lines = (line for line in path.read_bytes().splitlines() if line.endswith(b"}"))
        found.update(str(one["id"]) for one in map(json.loads, lines) if "id" in one)
    return found


def differences(collection: Path, whole: Path) -> list[str]:
    """Return what a collection holds otherwise than another does, a sentence each."""
    ours, theirs = (FeatureStore.open(next((path / "features").iterdir())) for path in (collection, whole))
    told = [f"{video} is in one alone" for video in set(ours.ids()) ^ set(theirs.ids())]
    for video in set(ours.ids()) & set(theirs.ids()):
        if ours.record(video).sha256 != theirs.record(video).sha256:
            told.append(f"{video} has other content")
        for stream in theirs.streams:
            if not np.array_equal(ours.rows(video, stream), theirs.rows(video, stream)):
                told.append(f"{video} has other {stream}")
    return sorted(told)
