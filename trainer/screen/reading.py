"""One video to what is written on its screen, going on after a kill where it stopped."""

from collections.abc import Iterator
from dataclasses import dataclass

import av.error
import numpy as np
from numpy.typing import NDArray

from trainer.ingest import reasons
from trainer.ingest.errors import BadVideo
from trainer.ingest.passes import Partial, Task, Told
from trainer.ingest.video import VideoSampler
from trainer.screen.areas import read_new
from trainer.screen.engine import Reading, ScreenEngine
from trainer.screen.lines import Lines
from trainer.screen.watching import LATE, RATE, Blocks, Watch, grey_of

# Pictures are scaled down to so many lines.
_EDGE = 720
# Looks at a picture that stands: then it has been read.
_LOOKS = int(2 * LATE * RATE)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was written. readings: how many pictures were read, before a kill included."""

    lines: int
    readings: int
    seconds: float


def read_screen(task: Task, engine: ScreenEngine, told: Told) -> Outcome:
    """Write what is read on the screen of a video. told: called with the seconds of it that are done.

    Raises BadVideo where the file cannot be decoded, OSError where the result cannot be written.
    """
    sampler = VideoSampler(task.path, RATE, _EDGE, keep_truncated=True, threads=engine.threads)
    watch, lines, readings, found = Watch(), Lines(), 0, list[Reading]()
    with Partial(task, engine.name) as partial:
        for time, image in _decoded(sampler):
            if not watch.look(time, grey_of(image)):
                continue
            at = f"{time:.3f}"
            if at not in partial.known:
                found = _read(engine, image, watch.new, found)
                partial.note(at, [(text.text, text.score, text.box) for text in found])
            found = [Reading(text, score, tuple(box)) for text, score, box in partial.known[at]]
            watch.read(lines.take(found, watch.history, watch.last))
            readings += 1
            told(time)
    assert sampler.report is not None
    duration = sampler.report.duration
    written = lines.close(duration)
    task.transcripts.write(task.content, task.path.name, engine.name, "", written)
    partial.remove()
    return Outcome(len(written), readings, duration)


def _decoded(sampler: VideoSampler) -> Iterator[tuple[float, NDArray[np.uint8]]]:
    """Yield the time and picture of every look; BadVideo for what a decoder may raise."""
    try:
        for sample in sampler:
            for row in range(sample.row, sample.row + min(sample.rows, _LOOKS)):
                yield float(row / RATE), sample.image
    except av.error.FFmpegError as error:
        raise BadVideo("corrupt", f"it cannot be read: {reasons.words(error)}") from error


def _read(
    engine: ScreenEngine, image: NDArray[np.uint8], new: Blocks | None, before: list[Reading]
) -> list[Reading]:
    try:
        return read_new(engine, image, new, before)
    except Exception as error:  # whatever the libraries below raise for an odd picture
        raise BadVideo("corrupt", f"a picture of it cannot be read ({reasons.words(error)})") from error
