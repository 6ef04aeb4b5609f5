"""A clip encoder made of one of frames: it begins as the mean of its frames, and is loaded as any other."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from recipes.clip_encoder import FRAMES, trained, widened
from tests.trainer.encoder import worlds
from trainer.encoder.model import ModelShape
from trainer.encoder.settings import EncoderSettings
from trainer.encoder.training import train_encoder
from workers.ranker.encoder.encoder import Encoder

SHAPE = ModelShape(image=32, width=64, layers=2, heads=2, text_layers=1, dim=32)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return worlds.make(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def encoder(world: Path) -> Path:
    settings = replace(EncoderSettings(), steps=4, device="cpu", shape=SHAPE, batch=4, val_frames_per_event=2)
    train_encoder(world, world / "encoder", settings)
    return world / "encoder"


def test_it_begins_as_the_mean_of_the_frames(encoder: Path) -> None:
    frames = torch.randn(2, FRAMES, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        clips = widened(encoder).eval().get_video_features(pixel_values=frames).pooler_output
        model = Encoder.load(str(encoder), "cpu", "float32")._model
        means = model.get_image_features(pixel_values=frames.flatten(0, 1)).pooler_output
    means = means.view(2, FRAMES, -1).mean(dim=1)
    assert torch.cosine_similarity(clips, means).min() > 0.99


def test_a_trained_one_is_loaded_as_any_clip_encoder(world: Path, encoder: Path, tmp_path: Path) -> None:
    trained(world, encoder, tmp_path / "clips", steps=2, seed=0)
    loaded = Encoder.load(str(tmp_path / "clips"), "cpu", "float32", clips=True)
    shown = np.random.default_rng(0).integers(255, size=(3, FRAMES, 40, 50, 3), dtype=np.uint8)
    assert loaded.clips(shown).shape == (3, 32)
    assert loaded.clips(shown).std(axis=0).max() > 0
