"""Models on a GPU give what they give on the CPU."""

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch

from tests import numeric
from tests.workers.ranker.factories import tiny_clip
from tests.workers.ranker.on_gpu import DEVICE, needs_gpu
from tests.workers.ranker.scoring.test_relo_ranker import random_contexts
from tests.workers.ranker.scoring.test_stored import LENGTHS, ranker_of, request, stored
from trainer.runs.devices import Amp
from workers.ranker.encoder.encoder import Encoder
from workers.ranker.model.whole import encode_videos
from workers.ranker.scoring.relo_ranker import ReloRanker

TEXTS = ["a red ball bounces twice", "two boxes"]
# cuDNN rounds the factors of a convolution to 11 bits.
WITHIN = 2e-3


def on_device(ranker: ReloRanker) -> ReloRanker:
    return ReloRanker(ranker.model, ranker.decode, DEVICE, ranker.name)


@needs_gpu
@pytest.mark.parametrize(("kind", "within"), [("float32", WITHIN), ("float16", 1e-2), ("bfloat16", 5e-2)])
def test_an_encoder_of_every_number_type_says_the_same(kind: str, within: float, tmp_path: Path) -> None:
    folder = tiny_clip(tmp_path)
    frames = np.random.default_rng(0).integers(0, 256, (3, 40, 60, 3), np.uint8)
    here, there = Encoder.load(str(folder), "cpu"), Encoder.load(str(folder), str(DEVICE), kind)
    expected, found = here.text(TEXTS), there.text(TEXTS)
    numeric.close(found.pooled, expected.pooled, within)
    for one, other in zip(found.tokens, expected.tokens, strict=True):
        numeric.close(one, other, within)
    numeric.close(there.images(frames), here.images(frames), within)


@needs_gpu
@pytest.mark.parametrize("kind", ["attention", "conv"])
def test_contexts_are_the_same(kind: str) -> None:
    contexts = random_contexts(LENGTHS)
    expected = list(encode_videos(ranker_of(kind).model, contexts, torch.device("cpu")))
    found = encode_videos(ranker_of(kind).model.to(DEVICE), contexts, DEVICE)
    for one, other in zip(found, expected, strict=True):
        for made, wanted in zip(one, other, strict=True):
            numeric.close(made, wanted, WITHIN)


@needs_gpu
@pytest.mark.parametrize("kept", [True, False], ids=["stored", "online"])
def test_evidence_is_the_same(kept: bool, tmp_path: Path) -> None:
    contexts, here = random_contexts(LENGTHS), ranker_of()
    if kept:
        here.use_stored(stored(tmp_path, here, contexts), contexts, 1)
    _, expected = here.examine([request(0), request(1)], contexts)
    there = on_device(ranker_of())
    if kept:
        assert here.stored is not None
        there.use_stored(here.stored.store, contexts)
        assert there.stored is not None
        assert there.stored.on_gpu == (DEVICE.type == "cuda")
    _, found = there.examine([request(0), request(1)], contexts)
    for column in fields(found):
        numeric.close(getattr(found, column.name), getattr(expected, column.name), WITHIN, scale=1)


@needs_gpu
def test_mixed_precision_takes_a_step() -> None:
    torch.manual_seed(0)
    layer = torch.nn.Linear(16, 4).to(DEVICE)
    amp, values = Amp(DEVICE), torch.randn(8, 16, device=DEVICE)
    optimizer = torch.optim.SGD(layer.parameters(), 0.1)
    losses = []
    for _ in range(4):
        with amp.autocast():
            out = layer(values)
        loss = out.float().square().mean()
        norm = amp.step(loss, optimizer, layer.parameters(), 1.0)
        assert torch.isfinite(norm)
        losses.append(loss.item())
    assert losses == sorted(losses, reverse=True)
