"""The parts that the encoder's training is made of."""

import torch

from tests import numeric
from trainer.encoder.augment import Augmentation, augment
from trainer.encoder.events import CaptionedEvent
from trainer.encoder.model import ModelShape, build_model, warm_start, whitening
from trainer.encoder.objective import contrast
from trainer.encoder.optimiser import orthogonal, rate
from trainer.encoder.texts import fit
from trainer.encoder.tokenizer import train_tokenizer


def test_windows_keep_what_is_marked() -> None:
    pixels = torch.zeros(200, 3, 32, 32)
    masks = torch.zeros(200, 32, 32, dtype=torch.bool)
    masks[:, 3:9, 20:30] = True
    pixels[:, :, 3:9, 20:30] = 255.0
    ranges = Augmentation(turn=0.0)
    _, early = augment(pixels, masks, 0.0, ranges, torch.Generator().manual_seed(0))
    _, late = augment(pixels, masks, 1.0, ranges, torch.Generator().manual_seed(0))
    share = masks[0].float().mean()
    for moved in (early, late):
        # Wholly inside: the ratio of sides varies by a stretch of 8 % each way.
        assert float(moved.mean((1, 2)).min()) > 0.6 * float(share)
    assert early.mean() > 1.4 * late.mean()


def test_contrast_is_least_when_equals_agree() -> None:
    eye = torch.eye(4)
    weights = torch.tensor([[1.0, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    together = eye[[0, 0, 1, 2]]
    scale = torch.tensor(20.0)
    assert contrast(together, together, weights, scale) < contrast(eye, eye, weights, scale)
    # Further rows are negatives: one that looks like a text costs.
    far, near = torch.cat([together, eye[3:]]), torch.cat([together, eye[2:3]])
    assert contrast(far, together, weights, scale) < contrast(near, together, weights, scale)


def test_fit_grades_what_is_shared() -> None:
    shown = [{"colour": "red", "shape": "box"}, {"colour": "red", "shape": "bar"}, {"colour": "blue"}]
    assert fit({"colour": "red"}, shown, whole=False).tolist() == [1.0, 1.0, 0.0]
    assert fit(shown[0], shown, whole=True).tolist() == [1.0, 0.5**4, 0.0]


def test_facts_and_motion_are_not_seen() -> None:
    attributes = {"colour": "red", "motion": "left", "times": "2", "facts.topic": "money"}
    event = CaptionedEvent("v", "train", 0.0, 1.0, "", "", attributes)
    assert event.seen == {"colour": "red"}
    assert event.facts == {"facts.topic": "money"}


def test_orthogonal_brings_singular_values_near_one() -> None:
    matrices = torch.randn(3, 8, 20, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(orthogonal(matrices))
    assert values.min() > 0.5
    assert values.max() < 1.5


def test_the_rate_goes_up_then_down() -> None:
    rates = [rate(step, 100) for step in range(100)]
    assert max(rates) > 0.95
    assert rates[0] < 0.25
    assert rates[-1] < 0.03


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
