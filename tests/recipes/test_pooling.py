"""The poolings that are compared: each says of a segment what its name says."""

import numpy as np
import torch

from recipes.pooling import MANY, POOLS, Pooled, Rows, nearest
from tests import numeric
from workers.ranker.projection.projector import MeanPool


def segments(width: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).normal(size=(3, 4, width)).astype(np.float32))


def test_the_mean_of_unit_frames_is_the_zero_shot_default() -> None:
    for said, width in ((None, 8), (torch.full((8,), 0.1), 16)):
        mean = MeanPool(4, said)
        found = Pooled(mean, POOLS["mean of unit frames"]).segments(segments(width))
        numeric.close(found, mean.segments(segments(width)))


def test_a_frame_unlike_the_others_is_left_out() -> None:
    units = torch.eye(4)[torch.tensor([[0, 0, 1, 0]])]
    numeric.close(nearest(3)(units), [[1, 0, 0, 0]])
    numeric.close(nearest(1)(units), [[1, 0, 0, 0]])
    # All frames of a short segment are its nearest.
    numeric.close(nearest(9)(units), units.mean(dim=1))
    weighted = POOLS["mean weighted by closeness"](units)
    assert 0 < weighted[0, 1] < 0.25


def test_a_segment_of_several_rows_is_as_near_as_its_best() -> None:
    vectors = np.eye(3, dtype=np.float32)[None].repeat(2, axis=0)
    query = np.array([0.1, 0.9, 0.4], np.float32)
    numeric.close(Rows(vectors, 1) @ query, [0.9, 0.9])
    numeric.close(Rows(vectors, 2) @ query, [0.65, 0.65])
    assert all(frames * best <= 4 for frames, best in MANY.values())
