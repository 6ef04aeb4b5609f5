"""Variations of frames that leave what they show as it is."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F


@dataclass(frozen=True)
class Augmentation:
    """Ranges of the variations: window as share of the frame's side, turn in radians, light 0-255.

    A training begins with windows as small as `closest`, where things look large and are easy to tell, and
    ends with windows of at least `calmest`, where big and small mean what they say.
    """

    closest: float = 0.4
    calmest: float = 0.85
    widest: float = 1.15
    turn: float = 0.25
    light: float = 12.0


def augment(
    pixels: torch.Tensor,
    masks: torch.Tensor,
    done: float,
    ranges: Augmentation,
    generator: torch.Generator,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Vary pixels (n, 3, h, w) of 0-255 with their masks (n, h, w) bool, each frame in its own way.

    A random window around what the mask marks is cut out and scaled to the frame, turned a little, mirrored
    and relit; `done` is the share of the training that is over. Returns pixels and masks 0..1, both float32.
    Mirroring is right because no text of a still says left or right.
    """
    n, device = len(pixels), pixels.device

    def draw(low: float, high: float, *shape: int) -> torch.Tensor:
        return low + torch.rand(n, *shape, generator=generator) * (high - low)

    closest = ranges.closest + (ranges.calmest - ranges.closest) * min(1.0, done / 0.6)
    centre, side = _windows(masks.cpu(), draw(closest, ranges.widest), draw(0, 1, 2))
    turn, mirror = draw(-ranges.turn, ranges.turn), torch.where(draw(-1, 1) < 0, -1.0, 1.0)
    stretch = draw(-0.08, 0.08).exp()
    warp = torch.stack(
        [
            torch.stack([side * stretch * mirror * turn.cos(), -side * turn.sin(), centre[:, 0]], 1),
            torch.stack([side * stretch * mirror * turn.sin(), side * turn.cos(), centre[:, 1]], 1),
        ],
        1,
    )
    layers = torch.cat([pixels.float(), 255.0 * masks[:, None].float()], 1)
    grid = F.affine_grid(warp.to(device), list(layers.shape), align_corners=False)
    moved = F.grid_sample(layers, grid, padding_mode="border", align_corners=False)
    contrast, light = draw(1 - ranges.light / 100, 1 + ranges.light / 100, 1, 1, 1), draw(-1, 1, 1, 1, 1)
    return moved[:, :3] * contrast.to(device) + ranges.light * light.to(device), moved[:, 3] / 255.0


def _windows(
    masks: torch.Tensor, side: torch.Tensor, place: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return centres (n, 2) and half sides (n,) of windows, in -1..1 of the frame as (x, y).

    A window holds what its mask (h, w) marks with a margin, lies inside the frame where it can, and is
    otherwise placed by `place` (n, 2) in 0..1.
    """
    low, high = _bounds(masks)
    margin = 0.06
    low, high = (low - margin).clamp(-1, 1), (high + margin).clamp(-1, 1)
    side = torch.maximum(side, (high - low).amax(1) / 2)
    limit = (1 - side)[:, None].abs()
    first = torch.maximum(high - side[:, None], -limit)
    last = torch.minimum(low + side[:, None], limit)
    return first + place * (last - first).clamp(min=0), side


def _bounds(masks: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the lowest and highest (x, y) (n, 2) marked, in -1..1; the frame's centre where nothing is."""
    lows, highs = [], []
    for axis in (1, 2):  # marked columns give x, marked rows y
        marked = masks.any(axis)
        size = marked.shape[1]
        first = marked.int().argmax(1)
        last = size - 1 - marked.flip(1).int().argmax(1)
        some = marked.any(1)
        lows.append(torch.where(some, 2 * first / size - 1, 0.0))
        highs.append(torch.where(some, 2 * (last + 1) / size - 1, 0.0))
    return torch.stack(lows, 1), torch.stack(highs, 1)
