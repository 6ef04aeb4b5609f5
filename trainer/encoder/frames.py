"""Frames of events, decoded once into a small cache of what the vision tower will see."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import torch
from numpy.typing import NDArray

from engine.errors import InvalidInput
from trainer.encoder.events import CaptionedEvent
from workers.ranker.encoder.image_transform import ImageTransform

_CPU = torch.device("cpu")
# Frames this long before and after an event show the same place without what happens in it.
_ASIDE = 0.3
# Levels 0-255 by which a pixel must differ from both to be part of what happens: above noise and compression.
_DIFFERENT = 30


@dataclass(frozen=True)
class Frames:
    """n frames: pixels (n, 3, side, side) uint8 and the event (n,) each is of; -1 - event beside it.

    masks (n, side, side) bool: where a frame differs from those before and after its event, and so, without
    anyone having drawn it, what the event is about.
    """

    pixels: torch.Tensor
    masks: torch.Tensor
    events: NDArray[np.int64]

    def of(self, event: int) -> NDArray[np.int64]:
        """Return the rows of one event, in order of time within its video."""
        return np.flatnonzero(self.events == event)

    def beside(self, event: int) -> NDArray[np.int64]:
        """Return the rows of the frames just before and just after one event."""
        return np.flatnonzero(self.events == -1 - event)


def sample_frames(
    world: Path,
    events: Sequence[CaptionedEvent],
    per_event: int,
    transform: ImageTransform,
    seed: int,
    progress: Callable[[int], None] = lambda done: None,
) -> Frames:
    """Decode `per_event` frames of each event and those beside it; `progress` is told of decoded videos."""
    rng = np.random.default_rng([seed, 1])
    jobs = [
        _Job(world, events, name, per_event, transform, rng) for name in sorted({e.video for e in events})
    ]
    parts: list[Frames] = []
    # Decoding leaves Python's lock: one thread a core, each with a single-threaded decoder.
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        for video in pool.map(_Job.run, jobs):
            parts.append(video)
            progress(len(parts))
    return Frames(
        torch.cat([part.pixels for part in parts]),
        torch.cat([part.masks for part in parts]),
        np.concatenate([part.events for part in parts]),
    )


class _Job:
    """The frames wanted of one video, chosen when it is made so that threads cannot change the choice."""

    def __init__(
        self,
        world: Path,
        events: Sequence[CaptionedEvent],
        video: str,
        per_event: int,
        transform: ImageTransform,
        rng: np.random.Generator,
    ) -> None:
        self.path, self.transform = world / "videos" / f"{video}.mp4", transform
        self.mine = [row for row, event in enumerate(events) if event.video == video]
        spans = [(events[row].start, events[row].end) for row in self.mine]
        self.inside, self.beside = sample_times(spans, per_event, rng), times_beside(spans)

    def run(self) -> Frames:
        times = np.concatenate([self.inside.ravel(), self.beside.ravel()])
        order = np.argsort(times, kind="stable")
        decoded = frames_at(self.path, times[order])[np.argsort(order, kind="stable")]
        pixels = self.transform.resized(decoded, _CPU).contiguous()
        inside, beside = pixels[: self.inside.size], pixels[self.inside.size :]
        masks = [
            changes(frames, aside)
            for frames, aside in zip(inside.chunk(len(self.mine)), beside.chunk(len(self.mine)), strict=True)
        ]
        empty = torch.zeros(len(beside), *pixels.shape[2:], dtype=torch.bool)
        owners = np.repeat(self.mine, self.inside.shape[1])
        neighbours = np.repeat([-1 - row for row in self.mine], self.beside.shape[1])
        return Frames(pixels, torch.cat([*masks, empty]), np.append(owners, neighbours))


def changes(frames: torch.Tensor, beside: torch.Tensor) -> torch.Tensor:
    """Return where frames (n, 3, h, w) differ from all frames (m, 3, h, w) beside them: (n, h, w) bool."""
    differences = (frames[:, None].int() - beside[None].int()).abs().amax(2)
    return differences.amin(1) > _DIFFERENT


def frames_at(path: Path, times: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return the frames (n, h, w, 3) shown at ascending `times` (n,), in seconds after the first frame.

    The frame shown is the last one presented at or before the instant; past the end, the last one.
    Raises InvalidInput when the file has no picture that can be decoded.
    """
    shown: list[NDArray[np.uint8]] = []
    try:
        for until, frame in _shown(path):
            while len(shown) < len(times) and times[len(shown)] < until:
                shown.append(frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False))
            if len(shown) == len(times):
                break
    except (av.FFmpegError, IndexError, OSError) as error:
        raise InvalidInput(f"{path} cannot be decoded ({error}); render the world again.") from error
    if len(shown) < len(times):
        raise InvalidInput(f"{path} has no video frame; render the world again.")
    return np.stack(shown)


def _shown(path: Path) -> Iterator[tuple[float, av.VideoFrame]]:
    """Yield each frame with the time, after the first frame, until which it is shown."""
    with av.open(str(path)) as container:
        held: av.VideoFrame | None = None
        first = 0.0
        for frame in container.decode(video=0):
            at = float(frame.time or 0.0)
            if held is None:
                first = at
            else:
                yield at - first, held
            held = frame
        if held is not None:
            yield float("inf"), held


def sample_times(
    spans: Sequence[tuple[float, float]], per_span: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return times (len(spans), per_span): one at random in each of `per_span` equal parts of a span."""
    bounds = np.asarray(spans, np.float64).reshape(-1, 2)
    steps = (np.arange(per_span) + rng.random((len(bounds), per_span))) / per_span
    return bounds[:, :1] + steps * (bounds[:, 1:] - bounds[:, :1])


def times_beside(spans: Sequence[tuple[float, float]]) -> NDArray[np.float64]:
    """Return times (len(spans), 2) just before and just after each span, outside all of them."""
    ends, starts = np.array([end for _, end in spans]), np.array([start for start, _ in spans])
    times = []
    for start, end in spans:
        free_before = start - max(ends[ends <= start], default=0.0)
        free_after = min(starts[starts >= end], default=np.inf) - end
        times.append((start - min(_ASIDE, free_before / 2), end + min(_ASIDE, free_after / 2)))
    return np.array(times, np.float64).reshape(-1, 2)
