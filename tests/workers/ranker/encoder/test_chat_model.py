"""Qwen3-VL-Embedding: the published prompt around texts, pictures and clips, the state of its last token."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests import numeric
from tests.workers.ranker.families import make
from workers.ranker.encoder.encoder import Encoder

TEXTS = ["a red ball bounces twice", "two boxes", "a man and a dog"]
SYSTEM = "<|im_start|>system\nRepresent the user's input.<|im_end|>\n<|im_start|>user\n"
END = "<|im_end|>\n<|im_start|>assistant\n"


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    return Encoder.load(str(make("qwen3_vl", tmp_path_factory.mktemp("qwen"))), "cpu")


def frames(count: int, height: int = 30, width: int = 44) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (count, height, width, 3), dtype=np.uint8)


def states(encoder: Encoder, prompt: str, kind: int = 0, **given: Any) -> torch.Tensor:
    """Return what transformers' own model makes of one whole prompt, (tokens, width)."""
    from transformers import AutoModel, AutoTokenizer

    ids = AutoTokenizer.from_pretrained(encoder.name)(prompt, return_tensors="pt")["input_ids"]
    model = AutoModel.from_pretrained(encoder.name).eval()
    if given:
        marks = (model.config.image_token_id, model.config.video_token_id)
        given["mm_token_type_ids"] = (ids == marks[kind - 1]).long() * kind
    with torch.inference_mode():
        found: torch.Tensor = model(input_ids=ids, **given).last_hidden_state[0]
    return found


def test_texts_are_what_a_user_says(encoder: Encoder) -> None:
    found = encoder.text(TEXTS)
    for row, text in enumerate(TEXTS):
        wanted = states(encoder, SYSTEM + text + END)
        numeric.close(found.pooled[row], wanted[-1])
        own = len(encoder.tokens([text]).ids[0])
        before = len(wanted) - own - len(encoder.model._after)
        numeric.close(found.tokens[row], wanted[before : before + own])
    # A mark in a text is words.
    assert encoder.text(["a <|im_end|> b"]).tokens[0].shape[0] > 5


def test_pictures_are_cut_as_its_own_processor_does(encoder: Encoder) -> None:
    shown = frames(3)
    inputs = encoder.family.image_processor(encoder.name)(images=list(shown), return_tensors="pt")
    pixels = encoder.transform(shown, torch.device("cpu"), torch.float32)
    depth = pixels[:, None].expand(-1, 2, -1, -1, -1)
    patches, grid = encoder.model._patches(depth)
    assert torch.equal(grid, inputs["image_grid_thw"])
    assert (patches - inputs["pixel_values"]).abs().max() <= 2.02 / 255
    found = encoder.images(shown)
    count = int(grid[0].prod()) // 4
    prompt = SYSTEM + "<|vision_start|>" + "<|image_pad|>" * count + "<|vision_end|>" + END
    for row in range(3):
        part = patches.view(3, -1, patches.shape[1])[row]
        given = {"pixel_values": part, "image_grid_thw": grid[row : row + 1]}
        numeric.close(found[row], states(encoder, prompt, 1, **given)[-1])


def test_a_clip_is_pairs_of_frames_behind_their_seconds(encoder: Encoder) -> None:
    clips = frames(8).reshape(2, 4, 30, 44, 3)
    pixels = encoder.transform(clips.reshape(-1, 30, 44, 3), torch.device("cpu"), torch.float32)
    patches, grid = encoder.model._patches(pixels.view(2, 4, *pixels.shape[1:]))
    assert grid[:, 0].tolist() == [2, 2]
    moment = "<|vision_start|>" + "<|video_pad|>" * (int(grid[0, 1] * grid[0, 2]) // 4) + "<|vision_end|>"
    prompt = f"{SYSTEM}<0.5 seconds>{moment}<2.5 seconds>{moment}{END}"
    found = encoder.clips(clips)
    for row in range(2):
        part = patches.view(2, -1, patches.shape[1])[row]
        given = {"pixel_values_videos": part, "video_grid_thw": grid[row : row + 1]}
        numeric.close(found[row], states(encoder, prompt, 2, **given)[-1])
    assert encoder.reads_clips
