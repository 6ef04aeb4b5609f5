"""Batches of frames: one of each event, mostly moved to another place, and some in which nothing happens."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from trainer.encoder.augment import Augmentation, augment
from trainer.encoder.events import CaptionedEvent
from trainer.encoder.frames import Frames

# Fewer marked pixels than this are noise: there is nothing to cut out.
_LEAST = 6


class FrameSampler:
    """Draws varied frames of events.

    Copy-paste augmentation: a small world has as many backgrounds as videos, and a model would learn these in
    place of the events. What the masks mark is pasted on frames taken beside other events, of the same
    `background` attribute so that captions stay true.
    """

    def __init__(
        self, frames: Frames, events: Sequence[CaptionedEvent], ranges: Augmentation, moved: float, seed: int
    ) -> None:
        self._frames, self._ranges, self._moved = frames, ranges, moved
        self._rows = [frames.of(event) for event in range(len(events))]
        self._empty = np.flatnonzero(frames.events < 0)
        kinds = [event.seen.get("background", "") for event in events]
        beside = {event: frames.beside(event) for event in range(len(events))}
        by_kind = {
            kind: np.concatenate([beside[event] for event, own in enumerate(kinds) if own == kind])
            for kind in set(kinds)
        }
        self._places = [by_kind[kind] for kind in kinds]
        self._rng = np.random.default_rng([seed, 6])
        self._noise = torch.Generator().manual_seed(seed)

    def draw(self, events: NDArray[np.int64], empty: int, done: float) -> tuple[torch.Tensor, torch.Tensor]:
        """Return pixels (n + empty, 3, h, w) of 0-255 and masks (n + empty, h, w) of 0..1, float32.

        Frames of `events` (n,) come first, then `empty` ones; `done` is the share of training that is over.
        """
        rows = [int(self._rng.choice(self._rows[event])) for event in events]
        rows += self._rng.choice(self._empty, empty).tolist()
        places = [int(self._rng.choice(self._places[event])) for event in events]
        pixels, masks = augment(
            self._frames.pixels[rows + places],
            self._frames.masks[rows + places],
            done,
            self._ranges,
            self._noise,
        )
        count, kept = len(events), len(rows)
        moved = torch.rand(count, generator=self._noise) < self._moved
        moved &= masks[:count].sum((1, 2)) > _LEAST
        # A pixel more on every side, so that edges come along.
        cover = F.max_pool2d(masks[:count, None], 3, 1, 1)
        cover = torch.where(moved[:, None, None, None], cover, torch.ones_like(cover))
        pixels[:count] = cover * pixels[:count] + (1 - cover) * pixels[kept:]
        return pixels[:kept], masks[:kept]
