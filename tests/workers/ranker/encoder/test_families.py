"""One contract for every family of encoders: features are those that its own classes give."""

import json
import shutil
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from engine.errors import InvalidInput, Mismatch
from tests import numeric
from tests.workers.ranker import pe_av
from tests.workers.ranker.families import make
from tests.workers.ranker.family_parts import CHINESE, CLIP_FRAMES, PATCHES
from workers.ranker.encoder.encoder import Encoder
from workers.ranker.encoder.families import FAMILIES, Family
from workers.ranker.encoder.files import pictures_file
from workers.ranker.encoder.text_graph import LEVELS, build
from workers.ranker.encoder.text_precision import SENTENCES, agreement, prepared
from workers.ranker.encoder.text_tower import TextTower, parts_of

TEXTS = ["a red ball bounces twice", "two boxes", "a man and a dog"]
LONG = "a dog " * 60


# Those of transformers: open_clip's layout has its own tests, and so has a chat model.
NAMES = [name for name, family in FAMILIES.items() if family.model and not family.chat]
PICTURED = [name for name in NAMES if not FAMILIES[name].frames]
CLIPS = [name for name, family in FAMILIES.items() if family.frames]


@pytest.fixture(scope="module")
def encoders(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Encoder]:
    @cache
    def loaded(family: str) -> Encoder:
        if FAMILIES[family].timm:
            pe_av.skip_without_timm()
        folder = make(family, tmp_path_factory.mktemp(family))
        return Encoder.load(str(folder), "cpu", clips=True)

    return loaded


@pytest.fixture(params=NAMES)
def encoder(request: pytest.FixtureRequest, encoders: Callable[[str], Encoder]) -> Encoder:
    return encoders(request.param)


@pytest.fixture(params=PICTURED)
def pictured(request: pytest.FixtureRequest, encoders: Callable[[str], Encoder]) -> Encoder:
    return encoders(request.param)


@pytest.fixture(params=CLIPS)
def clipped(request: pytest.FixtureRequest, encoders: Callable[[str], Encoder]) -> Encoder:
    return encoders(request.param)


def frames(height: int = 30, width: int = 44, count: int = 5) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (count, height, width, 3), dtype=np.uint8)


def published(encoder: Encoder) -> Callable[[str], tuple[Any, int]]:
    """Return what asks the family's own classes for one text alone: features, and how many tokens."""
    if encoder.family.timm:
        return partial(pe_av.text_features, encoder.name)
    from transformers import AutoModel, AutoTokenizer

    # Eager: with another attention AIMv2's texts are not causal where none is padded; see Family.causal.
    model = AutoModel.from_pretrained(encoder.name, attn_implementation="eager").eval()
    tokenizer = AutoTokenizer.from_pretrained(encoder.name)
    tokenizer.padding_side = "right"
    full = type(model).__name__ in ("SiglipModel", "Siglip2Model")

    def read(text: str) -> tuple[Any, int]:
        inputs = tokenizer(
            text.lower() if full else text,
            truncation=True,
            padding="max_length" if full else False,
            max_length=model.config.text_config.max_position_embeddings,
            return_tensors="pt",
        )
        mask = {} if full else {"attention_mask": inputs["attention_mask"]}
        with torch.inference_mode():
            out = model.get_text_features(input_ids=inputs["input_ids"], **mask)
        return out, int(inputs["attention_mask"].sum())

    return read


def published_clips(encoder: Encoder, videos: torch.Tensor) -> torch.Tensor:
    """Return what the family's own classes make of clips, (n, dim)."""
    from transformers import AutoModel

    if encoder.family.timm:
        return pe_av.video_features(encoder.name, videos)
    model = AutoModel.from_pretrained(encoder.name, attn_implementation="eager").eval()
    with torch.inference_mode():
        found: torch.Tensor = model.get_video_features(**{encoder.family.videos: videos}).pooler_output
    return found


def test_texts_are_read_as_the_familys_own_classes_do(encoder: Encoder) -> None:
    found, read = encoder.text(TEXTS), published(encoder)
    assert found.pooled.shape == (3, encoder.dim)
    assert found.pooled.dtype == np.float32
    for row, text in enumerate(TEXTS):
        out, count = read(text)
        numeric.close(found.pooled[row], out.pooler_output[0])
        assert found.tokens[row].shape == (count, encoder.token_width)
        numeric.close(found.tokens[row], out.last_hidden_state[0, :count])


def test_pictures_are_read_as_the_familys_own_classes_do(pictured: Encoder) -> None:
    encoder, shown = pictured, frames()
    processor = encoder.family.image_processor(encoder.name)
    inputs = processor(images=list(shown), return_tensors="pt")
    ours = encoder.transform.inputs(shown, torch.device("cpu"), torch.float32)
    count = ours["pixel_values"].shape[1]
    step = encoder.transform.scale / min(encoder.transform.std) * 1.01
    assert (ours["pixel_values"] - inputs["pixel_values"][:, :count]).abs().max() <= step
    # The two resizers round differently, so the padded pixels that theirs gives are given to both.
    with torch.inference_mode():
        wanted = encoder.model.get_image_features(**inputs).pooler_output
    assert wanted.shape == (5, encoder.dim)
    found = encoder.images(shown)
    cosines = (found * wanted.numpy()).sum(1) / np.linalg.norm(found, axis=1) / wanted.norm(dim=1).numpy()
    assert cosines.min() > 0.999


def test_clips_are_read_as_the_familys_own_classes_do(clipped: Encoder) -> None:
    clips = frames(30, 44, 3 * CLIP_FRAMES).reshape(3, CLIP_FRAMES, 30, 44, 3)
    pixels = clipped.transform(clips.reshape(-1, 30, 44, 3), torch.device("cpu"), torch.float32)
    wanted = published_clips(clipped, pixels.view(3, CLIP_FRAMES, 3, 16, 16))
    found = clipped.clips(clips)
    assert found.shape == (3, clipped.dim)
    assert found.dtype == np.float32
    numeric.close(found, wanted.reshape(3, -1))
    numeric.close(found, clipped.clips(clips, batch_size=1))
    # A segment of four seconds has four frames: each counts twice.
    numeric.close(clipped.clips(clips[:, ::2]), clipped.clips(np.repeat(clips[:, ::2], 2, axis=1)))
    assert clipped.clips(clips[:0]).shape == (0, clipped.dim)


def test_clips_and_pictures_are_not_mixed_up(clipped: Encoder, encoders: Callable[[str], Encoder]) -> None:
    with pytest.raises(InvalidInput, match="reads clips, not pictures"):
        clipped.images(frames())
    with pytest.raises(InvalidInput, match="reads clips and cannot find seconds"):
        Encoder.load(clipped.name, "cpu")
    with pytest.raises(InvalidInput, match="CLIP, which reads pictures, not clips"):
        encoders("clip").clips(frames()[None])
    with pytest.raises(InvalidInput, match="give uint8"):
        clipped.clips(frames())


def test_batches_and_their_neighbours_do_not_change_features(encoder: Encoder) -> None:
    if not encoder.family.frames:
        numeric.close(encoder.images(frames()), encoder.images(frames(), batch_size=2))
    texts = [*TEXTS, LONG]
    alone, together = encoder.text(texts, batch_size=1), encoder.text(texts)
    numeric.close(alone.pooled, together.pooled)
    for one, other in zip(alone.tokens, together.tokens, strict=True):
        numeric.close(one, other)


def test_a_long_text_is_cut_and_told(encoder: Encoder) -> None:
    found = encoder.text(["a man", LONG])
    assert found.cut == [False, True]
    assert (
        len(found.tokens[1])
        == encoder.model.config.text_config.max_position_embeddings - encoder.family.unused
    )


def test_marks_in_a_text_are_words(encoder: Encoder) -> None:
    special = {*encoder.tokens._tokenizer.all_special_ids} - {encoder.tokens._tokenizer.unk_token_id}

    def marks(text: str) -> list[int]:
        batch = encoder.tokens([text])
        return [int(i) for i in batch.ids[0][batch.valid[0]] if int(i) in special]

    for mark in ("</s>", "<s>", "[SEP]", "<pad>", "<|endoftext|>"):
        assert marks(f"a {mark}") == marks("a")


@pytest.mark.parametrize("family", ["siglip2", "metaclip_2", "chinese_clip", "altclip"])
def test_another_language_reaches_the_tower(family: str, encoders: Callable[[str], Encoder]) -> None:
    encoder = encoders(family)
    batch = encoder.tokens([CHINESE[:2], CHINESE[2:], "a man"])
    assert encoder.tokens._tokenizer.unk_token_id not in batch.ids[batch.valid]
    ball, person, man = encoder.text([CHINESE[:2], CHINESE[2:], "a man"]).pooled
    for one, other in ((ball, person), (person, man), (man, ball)):
        assert numeric.deviation(one, other) > 1e-3


def test_the_8_bit_text_tower_says_the_same_or_is_refused(encoder: Encoder, tmp_path: Path) -> None:
    parts = parts_of(encoder.model)
    assert (parts is not None) == encoder.family.graph
    if parts is None:
        assert prepared(encoder, tmp_path, 1) is None
        return
    exact = encoder.text(SENTENCES)
    encoder.use_tower(TextTower(parts, build(parts.shape, parts.weights, None), 1))
    found = encoder.text(SENTENCES)
    encoder.use_tower(None)
    numeric.close(found.pooled, exact.pooled)
    assert agreement(encoder, TextTower(parts, build(parts.shape, parts.weights, LEVELS), 1)).good


def test_another_size_of_pictures_is_refused(encoder: Encoder, tmp_path: Path) -> None:
    copy = shutil.copytree(encoder.name, tmp_path / "copy")
    file = pictures_file(copy)
    other = {"size": {"height": 24, "width": 24}, "do_center_crop": False, "patch_size": 4}
    file.write_text(json.dumps({**json.loads(file.read_text()), **other}))
    with pytest.raises(Mismatch, match=rf"{file.name} .*vision tower reads"):
        Encoder.load(str(copy), "cpu", clips=True)


def test_a_model_that_belongs_to_no_family_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "blip"}')
    with pytest.raises(InvalidInput, match=r"'blip'.*Chinese-CLIP \(chinese_clip\)"):
        Encoder.load(str(tmp_path), "cpu")


def test_a_family_that_transformers_lacks_is_refused_by_name() -> None:
    with pytest.raises(Mismatch, match="Tomorrow's is not in the transformers installed here"):
        Family("Tomorrow's", "tomorrow.modeling_tomorrow:TomorrowModel").model_class()


def test_patches_keep_the_shape_of_a_picture(tmp_path: Path) -> None:
    encoder = Encoder.load(str(make("siglip2", tmp_path)), "cpu")
    assert (encoder.frame_edge, encoder.image_size) == (24, 24)
    for shape in ((30, 44), (90, 30), (16, 16), (3, 200)):
        ours = encoder.transform.inputs(frames(*shape), torch.device("cpu"), torch.float32)
        rows, columns = ours["spatial_shapes"][0].tolist()
        assert rows * columns <= PATCHES
        assert rows == columns or (rows > columns) == (shape[0] > shape[1])


def test_a_text_tower_reads_no_more_than_its_published_code() -> None:
    config = SimpleNamespace(text_config=SimpleNamespace(max_position_embeddings=514))
    found = {name: FAMILIES[name].longest_of(config) for name in ("chinese_clip", "altclip", "clip")}
    assert found == {"chinese_clip": 52, "altclip": 77, "clip": 514}
