"""Frames of events, the masks of what happens in them, and their augmentation."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from tests import numeric
from tests.trainer.encoder.tiny import TINY
from trainer.encoder.augment import Augmentation, augment
from trainer.encoder.events import load_events
from trainer.encoder.frames import changes, frames_at, sample_frames, times_beside
from trainer.encoder.model import image_processor
from trainer.encoder.sampling import FrameSampler
from workers.ranker.encoder.image_transform import ImageTransform


def test_frames_are_those_shown_at_the_time(world: Path) -> None:
    frames = frames_at(world / "videos" / "v0.mp4", np.array([0.0, 2.99, 3.0, 5.9, 6.1, 11.0, 99.0]))
    middle: NDArray[np.uint8] = frames[:, 10, 14]
    assert (middle[:, 0] > 150).tolist() == [False, False, True, True, False, True, False]


def test_masks_mark_what_happens(world: Path) -> None:
    events = [event for event in load_events(world) if event.split == "train"]
    transform = ImageTransform.from_processor(image_processor(TINY.shape))
    frames = sample_frames(world, events, 3, transform, 0)
    assert len(frames.pixels) == len(events) * 5
    for row, event in enumerate(events):
        high = 10 if event.attributes["shape"] == "bar" else 20
        assert len(frames.of(row)) == 3
        for mask in frames.masks[frames.of(row)]:
            assert abs(int(mask.sum()) - high * 12) <= high + 12
        assert not frames.masks[frames.beside(row)].any()


def test_subjects_move_to_other_places(world: Path) -> None:
    events = [event for event in load_events(world) if event.split == "train"]
    transform = ImageTransform.from_processor(image_processor(TINY.shape))
    frames = sample_frames(world, events, 3, transform, 0)
    still = Augmentation(closest=1.0, calmest=1.0, widest=1.0, turn=0.0, light=0.0)
    rows = np.zeros(64, np.int64)
    shades = {}
    for moved in (0.0, 1.0):
        pixels, masks = FrameSampler(frames, events, still, moved, 0).draw(rows, 0, 1.0)
        shades[moved] = {int(shade / 10 + 0.5) for shade in pixels[:, 0, 0, 0]}
        red = pixels[:, 0][masks > 0.9]
        assert (red > 150).float().mean() > 0.8
    assert shades == {0.0: {6}, 1.0: {6, 8, 10}}


def test_times_beside_events_are_outside_all_of_them() -> None:
    numeric.close(times_beside([(0.1, 3.0), (3.2, 5.0)]), [[0.05, 3.1], [3.1, 5.3]], numeric.FLOAT64)


def test_changes_must_differ_from_every_neighbour() -> None:
    frames = torch.full((1, 3, 1, 3), 100, dtype=torch.uint8)
    before, after = torch.tensor([100, 0, 0]), torch.tensor([0, 0, 100])
    beside = torch.stack([before, after]).to(torch.uint8)[:, None, None].expand(2, 3, 1, 3)
    assert changes(frames, beside)[0, 0].tolist() == [False, True, False]


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
