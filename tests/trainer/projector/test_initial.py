"""A projector's initial weights."""

import torch

from tests import numeric
from trainer.projector.initial import initialise
from workers.ranker.projection.projector import MeanPool, Projector, ProjectorConfig


def test_identity_adds_half_of_what_is_said() -> None:
    projector = Projector(ProjectorConfig(16, "seqTransf", 1, 2, subtitles=True, around=2))
    initialise(projector, "identity")
    inputs = torch.randn(5, 8, 32)
    expected = MeanPool().segments(inputs[:, 2:6, :16]) + 0.5 * MeanPool().segments(inputs[..., 16:])
    numeric.close(projector.segments(inputs), expected)
