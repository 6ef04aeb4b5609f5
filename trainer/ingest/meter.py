"""Progress of an ingest, in bytes read."""

import time
from collections.abc import Callable
from fractions import Fraction

from engine.printable import printable
from trainer.ingest.reader import Job
from trainer.ingest.summary import Summary
from trainer.ingest.video import Sample

# Progress callback: bytes of files done, bytes in all, words about it.
Progress = Callable[[int, int, str], None]

_SECONDS_BETWEEN = 0.2


class Meter:
    """Adds up the bytes of what is read, inside files too, and says so a few times a second."""

    def __init__(self, progress: Progress, fps: Fraction, summary: Summary) -> None:
        self._progress, self._fps, self._summary = progress, fps, summary
        self._sizes: dict[Job, int] = {}
        self._partial: dict[Job, float] = {}
        self._bytes_done = self._bytes = 0
        self._seconds = 0.0
        self._began = time.monotonic()
        self._told = 0.0

    @property
    def left(self) -> int:
        """Bytes of files that are not done."""
        return self._bytes - self._bytes_done

    def expect(self, job: Job, size: int) -> None:
        """Count a file of `size` bytes as work to be done."""
        self._sizes[job] = size
        self._bytes += size

    def read(self, job: Job, sample: Sample) -> None:
        """Take note of a picture that was read."""
        self._partial[job] = sample.share * self._sizes[job]
        self._seconds += sample.rows / float(self._fps)
        if time.monotonic() - self._told >= _SECONDS_BETWEEN:
            self._tell(f", at {clock(sample.time)} of {printable(job.path.name)}")

    def done(self, job: Job) -> None:
        """Take note of a file's end."""
        self._bytes_done += self._sizes[job]
        self._partial.pop(job, None)
        self._tell("")

    def _tell(self, where: str) -> None:
        self._told = time.monotonic()
        counts = f"{self._summary.ingested} ingested, {len(self._summary.failed)} failed"
        speed = self._seconds / max(self._told - self._began, 1e-9)
        done = self._bytes_done + int(sum(self._partial.values()))
        self._progress(done, self._bytes, f"{counts}, {speed:.3g}x real time{where}")


def clock(seconds: float) -> str:
    """Return a time as h:mm:ss.

    >>> clock(3725.9)
    '1:02:05'
    """
    whole = int(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"
