"""Progress with rate and time left, on stderr: a live bar in a terminal, a line now and then elsewhere."""

import sys
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from engine.printable import printable

SECONDS_BETWEEN_LINES = 10.0


class Progress:
    """Counts `done` of `total`; `note` is a few words such as "loss 1.23".

    with Progress("projector", total=1000, done=200) as progress:
        progress.update(201, "loss 1.23")
    """

    def __init__(
        self, label: str, total: int, done: int = 0, unit: str = "steps", shown: bool = True
    ) -> None:
        self.label, self.total, self.first, self.unit, self.shown = label, total, done, unit, shown
        self.began = self.spoken = time.monotonic()
        self.bar = self._bar() if shown and sys.stderr.isatty() else None
        self.task = self.bar.add_task(label, total=total, completed=done, note="") if self.bar else None

    def __enter__(self) -> Self:
        if self.bar:
            self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.bar:
            self.bar.stop()

    def update(self, done: int, note: str = "", total: int | None = None) -> None:
        """Say that `done` of the total are done. total: of now, where more was found."""
        note, self.total = printable(note), self.total if total is None else total
        if self.bar and self.task is not None:
            told = f"{self._rate(done):.1f} {self.unit}/s  {note}"
            self.bar.update(self.task, completed=done, total=self.total, note=told)
        elif self.shown and (time.monotonic() - self.spoken >= SECONDS_BETWEEN_LINES or done == self.total):
            self.spoken = time.monotonic()
            print(self.line(done, note), file=sys.stderr, flush=True)

    def line(self, done: int, note: str = "") -> str:
        """Return the line for a log: done, total, rate, time left."""
        rate = self._rate(done)
        left = f"{(self.total - done) / rate:.0f} s left" if rate else "time left unknown"
        return f"{self.label}: {done}/{self.total} {self.unit}, {rate:.1f}/s, {left}  {note}".rstrip()

    def _rate(self, done: int) -> float:
        """Return units a second since this process began (not since the run did)."""
        return (done - self.first) / max(time.monotonic() - self.began, 1e-9)

    def _bar(self) -> Bar:
        """Return the live bar."""
        # Notes may hold names of files, in which square brackets are no markup.
        label, note = (
            TextColumn(text, markup=False) for text in ("{task.description}", "{task.fields[note]}")
        )
        columns = (label, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), note)
        return Bar(*columns, console=Console(stderr=True))
