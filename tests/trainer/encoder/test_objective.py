"""The contrastive objective, the targets of its pairs, and the optimiser's steps."""

import torch

from trainer.encoder.events import Event
from trainer.encoder.objective import contrast
from trainer.encoder.optimiser import orthogonal, rate
from trainer.encoder.texts import fit


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
    event = Event("v", "train", 0.0, 1.0, "", "", attributes)
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
