"""The model's initial weights, and its tokenizer."""

import torch

from tests import numeric
from trainer.encoder.model import ModelShape, build_model, warm_start, whitening
from trainer.encoder.tokenizer import train_tokenizer


def test_whitened_patches_are_uncorrelated() -> None:
    noise = torch.randn(64, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    inputs = torch.nn.functional.avg_pool2d(noise, 3, 1, 1) + noise.mean((2, 3), keepdim=True)
    filters = whitening(inputs, 4, 20, floor=0.0)
    patches = torch.nn.functional.unfold(inputs, 4, stride=4).transpose(1, 2).reshape(-1, 48)
    seen = patches @ filters.T
    numeric.close(seen.T @ seen / len(seen), torch.eye(20), 1e-2, scale=1)


def test_heads_start_by_looking_at_their_neighbours() -> None:
    torch.manual_seed(0)
    shape = ModelShape()
    vision = build_model(shape, 600, 0, 1).vision_model.eval()
    inputs = torch.randn(4, 3, 64, 64)
    warm_start(vision, shape, inputs)
    vision.set_attn_implementation("eager")
    with torch.no_grad():
        first = vision(pixel_values=inputs, output_attentions=True).attentions[0].mean(0)
    centre = 1 + 8 * 4 + 3  # row 4, column 3
    for head, (x, y) in enumerate([(0, 0), (1, 0), (0, 1), (1, 1)]):
        assert int(first[head, centre].argmax()) == centre + x + 8 * y


def test_every_byte_has_a_token() -> None:
    tokenizer = train_tokenizer(["a red ball", "two red balls"], 600, 16)
    assert tokenizer.get_vocab() == train_tokenizer(["a red ball", "two red balls"], 600, 16).get_vocab()
    for text in ("!", "x", "é", "日本", "\x07"):
        ids = tokenizer(text)["input_ids"]
        assert ids.count(tokenizer.eos_token_id) == 1, text
