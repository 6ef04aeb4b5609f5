"""The physical floor: how fast the device's memory is read."""

from collections.abc import Callable
from typing import Any

import torch

from bench.results import Figure, Outcome, Setup
from bench.timing import Laps, laps

_BYTES = 4 * 2**30


def run(setup: Setup, device: torch.device) -> Outcome:
    """Read a large tensor once, and copy it."""
    size = _BYTES if device.type == "cuda" else 2**20
    values = torch.ones(size // 4, device=device)
    copied = torch.empty_like(values)
    read = timed(values.sum, device, setup.sizes.runs)
    moved = timed(lambda: copied.copy_(values), device, setup.sizes.runs)
    rows = [
        Figure("read", "memory read", "floor", _gigabytes(size, read), "GB/s"),
        Figure("copy", "memory copied, bytes read and written", "floor", _gigabytes(2 * size, moved), "GB/s"),
    ]
    return Outcome(rows, ["The fastest pass counts."])


def read_ms(count: float, device: torch.device) -> float:
    """Return the milliseconds that reading so many bytes of the device's memory takes at least."""
    size = _BYTES if device.type == "cuda" else 2**20
    return timed(torch.ones(size // 4, device=device).sum, device, 20).share(0.0) * count / size


def timed(work: Callable[[], Any], device: torch.device, runs: int) -> Laps:
    """Time `work`, which may return before the device is done."""

    def whole(_: int) -> None:
        work()
        synchronize(device)

    return laps(whole, runs, warm=5)


def synchronize(device: torch.device) -> None:
    """Wait for all that the device was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def name_of(device: torch.device) -> str:
    """Return the card's name."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def _gigabytes(size: int, taken: Laps) -> float:
    return size / 1e6 / taken.share(0.0)
