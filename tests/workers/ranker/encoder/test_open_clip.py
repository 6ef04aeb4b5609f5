"""Models in open_clip's layout: features are open_clip's own. Without the package: what to install."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from engine.errors import Mismatch, NotFound, SprError, Unavailable
from tests import numeric
from tests.workers.ranker.factories import TEXTS as WORDS
from trainer.encoder.tokenizer import train_tokenizer
from workers.ranker.encoder.encoder import Encoder
from workers.ranker.encoder.text_tower import parts_of

try:
    import open_clip
except (ImportError, RuntimeError) as error:
    open_clip, why = None, str(error)
else:
    why = ""
needed = pytest.mark.skipif(open_clip is None, reason=f"open_clip cannot be imported: {why}")

LONGEST = 16
TEXTS = ["a red ball", "two boxes and a man"]
TEXT = {"context_length": LONGEST, "width": 32, "heads": 2, "layers": 2}
TIMM: dict[str, Any] = {"timm_model_pretrained": False, "timm_proj": None}
VISION: dict[str, dict[str, Any]] = {
    "LAION": {"image_size": 32, "patch_size": 8, "width": 64, "layers": 2, "head_width": 32},
    "PE-Core": {
        **TIMM,
        "timm_model_name": "vit_pe_core_tiny_patch16_384",
        "timm_pool": "map",
        "image_size": 384,
    },
    "MobileCLIP2": {**TIMM, "timm_model_name": "fastvit_mci0", "timm_pool": "avg", "image_size": 64},
}
# As published: MobileCLIP2-S0's text tower sees its padding, with its zeros.
CAUSAL = {"LAION": False, "PE-Core": False, "MobileCLIP2": True}


def write(folder: Path, kind: str, **changes: Any) -> Path:
    """Write a layout without weights."""
    tokenizer = train_tokenizer(WORDS, 600, LONGEST)
    tokenizer.save_pretrained(folder)
    text = {**TEXT, "vocab_size": len(tokenizer), "no_causal_mask": CAUSAL[kind], **changes}
    model = {"embed_dim": 24, "vision_cfg": VISION[kind], "text_cfg": text, "custom_text": kind != "LAION"}
    pictures = {"mean": [0.4] * 3, "std": [0.3] * 3, "interpolation": "bicubic", "resize_mode": "shortest"}
    if kind == "PE-Core":
        pictures["resize_mode"] = "squash"
    about = {"model_cfg": model, "preprocess_cfg": pictures}
    (folder / "open_clip_config.json").write_text(json.dumps(about))
    return folder


@pytest.fixture(scope="module", params=VISION)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if open_clip is None:
        pytest.skip(f"open_clip cannot be imported: {why}")
    made = write(tmp_path_factory.mktemp(request.param), request.param)
    torch.manual_seed(0)
    model = open_clip.create_model(f"local-dir:{made}", load_weights=False)
    save_file(model.state_dict(), made / "open_clip_model.safetensors")
    return made


def test_features_are_open_clips_own(folder: Path) -> None:
    model, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    encoder = Encoder.load(str(folder), "cpu")
    batch = encoder.tokens(TEXTS)
    assert batch.ids.shape == (2, LONGEST)
    assert not batch.ids[~batch.valid].any()
    found = encoder.text(TEXTS)
    frames = np.random.default_rng(0).integers(0, 256, (3, 50, 90, 3), dtype=np.uint8)
    with torch.inference_mode():
        numeric.close(found.pooled, model.eval().encode_text(torch.from_numpy(batch.ids)))
        pixels = torch.stack([preprocess(Image.fromarray(frame)) for frame in frames])
        wanted = model.encode_image(pixels).numpy()
    assert [len(states) for states in found.tokens] == batch.valid.sum(axis=1).tolist()
    assert (found.tokens[0].shape[1], found.pooled.shape[1]) == (encoder.token_width, encoder.dim) == (32, 24)
    ours = encoder.transform(frames, torch.device("cpu"), torch.float32)
    # Two levels of 255 at most, where the two resizers round their two passes differently.
    assert (ours - pixels).abs().max() <= 2.01 / 255 / 0.3
    images = encoder.images(frames)
    cosines = (images * wanted).sum(1) / np.linalg.norm(images, axis=1) / np.linalg.norm(wanted, axis=1)
    assert cosines.min() > 0.999
    numeric.close(encoder.images(frames[:1]), images[:1])
    numeric.close(encoder.text(TEXTS[:1]).pooled, found.pooled[:1])
    assert parts_of(encoder.model) is None


@needed
@pytest.mark.parametrize("name", ["hf_model_name", "hf_tokenizer_name"])
def test_a_model_of_another_tokenizer_is_refused(tmp_path: Path, name: str) -> None:
    folder = write(tmp_path, "LAION", **{name: "roberta-base"})
    (folder / "open_clip_model.safetensors").touch()
    assert f"names {name}" in refusal(folder, Mismatch)


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    folder = write(tmp_path, "LAION")
    assert "has no open_clip_model.safetensors" in refusal(folder, NotFound)
    (folder / "open_clip_model.safetensors").touch()
    if open_clip is None:
        assert "pip install 'spr-engine[open-clip]'" in refusal(folder, Unavailable)
    else:
        assert "cannot be loaded" in refusal(folder, Mismatch)
    (folder / "open_clip_config.json").write_text("{}")
    assert "lacks model_cfg" in refusal(folder, Mismatch)


def refusal(folder: Path, kind: type[SprError]) -> str:
    with pytest.raises(kind) as caught:
        Encoder.load(str(folder), "cpu")
    message = str(caught.value)
    assert "\n" not in message
    assert str(folder) in message
    return message
