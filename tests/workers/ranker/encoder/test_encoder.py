"""The encoder against the Hugging Face classes it stands on, and its refusals."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from engine.errors import InvalidInput, Mismatch, NotFound, SprError, Unavailable
from tests import numeric
from tests.workers.ranker.encoders import tiny_siglip
from tests.workers.ranker.factories import tiny_clip
from workers.ranker.encoder.encoder import Encoder
from workers.ranker.encoder.image_transform import ImageTransform
from workers.ranker.encoder.text_tower import parts_of

# Of CLIP's kind, with 32 pixels, but for the last; transformers is loaded by the tests alone.
PROCESSORS: dict[str, dict[str, Any]] = {
    "clip": {},
    "crop larger than the picture": {"size": {"shortest_edge": 24}},
    "squeezed": {"size": {"height": 32, "width": 32}, "do_center_crop": False},
    "bilinear": {"resample": 2},
    "unnormalised": {"do_normalize": False},
    "siglip": {},
}
TEXTS = ["a red ball bounces twice", "two boxes", "Zoë's café — 3 stars."]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_clip(tmp_path_factory.mktemp("clip"))


@pytest.fixture(scope="module")
def siglip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_siglip(tmp_path_factory.mktemp("siglip"), "SiglipTokenizer")


def picture(height: int, width: int, n: int = 2) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (n, height, width, 3), dtype=np.uint8)


def processor_of(name: str) -> Any:
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
    from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

    square = {"height": 32, "width": 32}
    if name == "siglip":
        return SiglipImageProcessorPil(size=square)
    return CLIPImageProcessorPil(**{"size": {"shortest_edge": 32}, "crop_size": square, **PROCESSORS[name]})


@pytest.mark.parametrize("name", PROCESSORS)
@pytest.mark.parametrize("shape", [(90, 160), (161, 91), (20, 20), (32, 32), (33, 47)])
def test_the_batched_transform_equals_the_image_processor(name: str, shape: tuple[int, int]) -> None:
    processor = processor_of(name)
    frames = picture(*shape)
    transform = ImageTransform.from_processor(processor)
    ours = transform(frames, torch.device("cpu"), torch.float32)
    theirs = torch.from_numpy(np.stack(processor(images=list(frames))["pixel_values"])).float()
    assert ours.shape == theirs.shape
    # One level of 255 where the two resizers round differently.
    step = transform.scale / min(transform.std) * 1.01
    assert (ours - theirs).abs().max() <= step
    assert (ours - theirs).abs().mean() <= step / 5


def test_nothing_in_nothing_out(clip: Path) -> None:
    encoder = Encoder.load(str(clip), "cpu")
    assert encoder.text([]).pooled.shape == (0, encoder.dim)
    assert encoder.images(picture(16, 16, 0)).shape == (0, encoder.dim)


@pytest.mark.parametrize("text", ["", "  \t\n"])
def test_an_empty_text_is_refused(clip: Path, text: str) -> None:
    with pytest.raises(InvalidInput, match="Text 2 of 2 is empty"):
        Encoder.load(str(clip), "cpu").text(["a ball", text])


def test_a_long_text_is_cut(clip: Path) -> None:
    assert len(Encoder.load(str(clip), "cpu").text(["ball " * 500]).tokens[0]) == 24


def test_frames_of_another_kind_are_refused(clip: Path) -> None:
    with pytest.raises(InvalidInput, match="uint8"):
        Encoder.load(str(clip), "cpu").images(np.zeros((1, 16, 16, 3), np.float32))


def test_several_threads_get_the_same_answers(clip: Path) -> None:
    encoder = Encoder.load(str(clip), "cpu")
    texts = [["ball " * count] for count in range(1, 21)]
    alone = [encoder.text(text).pooled for text in texts]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda text: encoder.text(text).pooled, texts))
    numeric.close(together, alone)


def test_the_fingerprint_follows_weights_and_words(clip: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    copy = shutil.copytree(clip, tmp_path / "copy")
    first = Encoder.load(str(clip), "cpu").fingerprint
    assert len(first) == 16
    assert Encoder.load(str(copy), "cpu").fingerprint == first
    weights = load_file(copy / "model.safetensors")
    weights["logit_scale"] += 1e-3
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    second = Encoder.load(str(copy), "cpu").fingerprint
    config = json.loads((copy / "tokenizer_config.json").read_text())
    (copy / "tokenizer_config.json").write_text(json.dumps({**config, "model_max_length": 23}))
    third = Encoder.load(str(copy), "cpu").fingerprint
    assert len({first, second, third}) == 3


def refusal(kind: type[SprError], name: Path | str, **options: Any) -> str:
    with pytest.raises(kind) as caught:
        Encoder.load(str(name), **options)
    return str(caught.value)


def test_what_cannot_be_loaded_says_why(clip: Path, tmp_path: Path) -> None:
    assert "is not a directory" in refusal(NotFound, tmp_path / "missing")
    assert "has no config.json" in refusal(NotFound, tmp_path)
    copy = shutil.copytree(clip, tmp_path / "copy")
    weights = (copy / "model.safetensors").read_bytes()
    (copy / "model.safetensors").write_bytes(weights[:-100])
    assert "is not complete" in refusal(Mismatch, copy)
    (copy / "model.safetensors").unlink()
    assert "safetensors" in refusal(NotFound, copy)
    (copy / "model.safetensors").write_bytes(weights)
    (copy / "config.json").write_text('{"model_type": "bert"}')
    assert "'bert'" in refusal(InvalidInput, copy)
    (copy / "config.json").write_text("{")
    assert "JSON" in refusal(Mismatch, copy)


def test_lacking_weights_are_not_made_up(clip: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    copy = shutil.copytree(clip, tmp_path / "copy")
    weights = load_file(copy / "model.safetensors")
    del weights["text_projection.weight"]
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    assert "lacks 1 weights, such as text_projection.weight" in refusal(Mismatch, copy)


def test_unknown_devices_and_number_types_are_refused(clip: Path) -> None:
    assert "float99" in refusal(InvalidInput, clip, dtype="float99")
    assert "'abacus'" in refusal(InvalidInput, clip, device="abacus")


def test_an_unreachable_hub_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    message = refusal(Unavailable, "spr-tests/not-in-the-cache")
    assert "'spr-tests/not-in-the-cache'" in message
    assert "give a local directory" in message
    assert "\n" not in message


@pytest.mark.parametrize("kind", [tiny_clip, lambda folder: tiny_siglip(folder, "SiglipTokenizer")])
def test_texts_stay_the_same_when_the_weights_file_changes(tmp_path: Path, kind: Any) -> None:
    folder = kind(tmp_path)
    encoder = Encoder.load(str(folder), device="cpu")
    encoder.hold_text_weights()
    parts = parts_of(encoder.model)
    before = encoder.text(TEXTS).pooled
    assert parts is not None
    tables = [array.copy() for array in (*parts.weights.values(), parts.head)]
    # In place: what is mapped changes with it.
    with (folder / "model.safetensors").open("r+b") as file:
        size = file.seek(0, 2)
        file.seek(0)
        file.write(b"\x3c" * size)
    assert np.array_equal(encoder.text(TEXTS).pooled, before)
    assert all(map(np.array_equal, tables, (*parts.weights.values(), parts.head)))
