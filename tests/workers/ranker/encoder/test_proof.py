"""Encoder directories whose parts do not belong together are refused when they are loaded."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.errors import Mismatch, SprError
from tests import numeric
from tests.workers.ranker.encoders import tiny_siglip
from tests.workers.ranker.factories import tiny_clip
from trainer.encoder.tokenizer import train_tokenizer
from workers.ranker.encoder.encoder import Encoder


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_clip(tmp_path_factory.mktemp("clip"))


@pytest.fixture
def copy(clip: Path, tmp_path: Path) -> Path:
    return shutil.copytree(clip, tmp_path / "copy")


def refusal(folder: Path, kind: type[SprError] = Mismatch) -> str:
    with pytest.raises(kind) as caught:
        Encoder.load(str(folder), "cpu")
    message = str(caught.value)
    assert "\n" not in message
    assert str(folder) in message
    return message


def edit(file: Path, **values: Any) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))


@pytest.mark.parametrize("kept", [(), ("tokenizer_config.json",)])
def test_an_encoder_without_its_vocabulary_is_refused(copy: Path, kept: tuple[str, ...]) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json", "vocab.json", "merges.txt"):
        if name not in kept:
            (copy / name).unlink(missing_ok=True)
    with pytest.raises(SprError, match="has no tokenizer"):
        Encoder.load(str(copy), "cpu")


@pytest.mark.parametrize("words", [10, 2000])
def test_another_models_vocabulary_is_refused(copy: Path, words: int) -> None:
    from transformers import CLIPTokenizer

    if words == 10:
        for name in ("tokenizer.json", "vocab.json", "merges.txt"):
            (copy / name).unlink(missing_ok=True)
        CLIPTokenizer().save_pretrained(copy)
    else:
        train_tokenizer(["a red ball"], 600, 24, words).save_pretrained(copy)
    assert "save the tokenizer that the model was trained with" in refusal(copy)


def test_a_table_of_embeddings_may_be_filled_up(tmp_path: Path) -> None:
    from transformers import CLIPModel

    tiny_clip(tmp_path)
    model = CLIPModel.from_pretrained(tmp_path)
    rows = model.text_model.get_input_embeddings().weight.shape[0]
    model.text_model.resize_token_embeddings(rows + 100)
    model.config.text_config.vocab_size = rows + 100
    model.save_pretrained(tmp_path)
    Encoder.load(str(tmp_path), "cpu")


def changed(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def test_weights_that_give_nothing_are_refused(copy: Path) -> None:
    changed(copy, lambda weights: weights["text_projection.weight"].zero_())
    assert "two different sentences the same vector" in refusal(copy)
    changed(copy, lambda weights: weights["text_projection.weight"].fill_(float("nan")))
    assert "a sentence a vector that is not finite" in refusal(copy)
    changed(copy, lambda weights: weights["visual_projection.weight"].fill_(float("nan")))
    assert "a picture a vector that is not finite" in refusal(copy)


@pytest.mark.parametrize(
    "change",
    [
        {"size": {"shortest_edge": 16}, "do_center_crop": False},
        {"crop_size": {"height": 24, "width": 24}},
        {"size": {"height": 32, "width": 32}, "do_center_crop": False},
        {"do_resize": False, "do_center_crop": False},
    ],
)
def test_pictures_of_another_size_than_the_tower_reads_are_refused(
    copy: Path, change: dict[str, Any]
) -> None:
    edit(copy / "preprocessor_config.json", **change)
    assert "the vision tower reads 16x16" in refusal(copy)


def test_one_number_is_for_all_channels(clip: Path, copy: Path) -> None:
    edit(copy / "preprocessor_config.json", image_mean=0.5, image_std=[0.25])
    transform = Encoder.load(str(copy), "cpu").transform
    assert (transform.mean, transform.std) == ((0.5,) * 3, (0.25,) * 3)
    edit(copy / "preprocessor_config.json", image_mean=[0.5] * 3, image_std=[0.25] * 3)
    assert Encoder.load(str(copy), "cpu").transform == transform


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("image_std", value) for value in ([0.5, 0.5], "grey", 0.0, -0.5, [1.0, 0.0, 1.0], [1, -1, 1])),
        ("image_std", float("nan")),
        *(("rescale_factor", value) for value in (0, -1, "x", None, float("nan"))),
        *(("resample", value) for value in (99, 1, -3, "bicubic", None)),
        *(("size", {"shortest_edge": value}) for value in (0, -16, 10**9, "a", 16.5)),
        ("size", {"height": -3, "width": 16}),
        *(("crop_size", {"height": value, "width": value}) for value in (0, -16)),
        ("crop_size", None),
    ],
)
def test_numbers_that_fit_no_picture_are_refused(copy: Path, key: str, value: Any) -> None:
    edit(copy / "preprocessor_config.json", **{key: value})
    message = refusal(copy)
    assert key in message or "size" in message
    assert "give" in message or "set its size" in message or "save or fetch" in message


@pytest.mark.parametrize("change", [{"rescale_factor": 1e-12}, {"image_std": 1e12}])
def test_numbers_that_make_all_pictures_one_are_refused(copy: Path, change: dict[str, Any]) -> None:
    edit(copy / "preprocessor_config.json", **change)
    assert "two different pictures the same vector" in refusal(copy)


@pytest.mark.parametrize("kind", ["clip", "siglip"])
def test_the_scale_of_similarities_is_not_needed(clip: Path, tmp_path: Path, kind: str) -> None:
    folder = (
        shutil.copytree(clip, tmp_path / "c") if kind == "clip" else tiny_siglip(tmp_path, "SiglipTokenizer")
    )
    before = Encoder.load(str(folder), "cpu").text(["a ball"]).pooled

    def drop(weights: dict[str, Any]) -> None:
        weights.pop("logit_scale")
        weights.pop("logit_bias", None)

    changed(folder, drop)
    numeric.close(Encoder.load(str(folder), "cpu").text(["a ball"]).pooled, before)


def test_pickled_weights_say_how_to_convert_them(copy: Path) -> None:
    (copy / "model.safetensors").rename(copy / "pytorch_model.bin")
    with pytest.raises(SprError, match=r"save_pretrained.*safe_serialization=True"):
        Encoder.load(str(copy), "cpu")
