"""What a worker tells the driver, and what the driver makes of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

from trainer.ingest.summary import Failure, Summary
from trainer.screen.run import ScreensRead
from trainer.speech.run import Transcribed

COUNTS = ("ingested", "skipped", "described", "frames", "decoded_frames", "seconds_of_video")
LISTS = ("failed", "warnings", "moved")


@dataclass(slots=True)
class Report:
    """What happened since the last one. ended: paths of files that had their turn.

    wanted: how many files more the worker would have at hand. done, total: bytes of files read, and of those
    given, since it began.
    """

    wanted: int = 0
    ended: list[str] = field(default_factory=list)
    counts: dict[str, float] = field(default_factory=dict)
    failed: list[Failure] = field(default_factory=list)
    warnings: list[dict[str, str]] = field(default_factory=list)
    moved: list[dict[str, str]] = field(default_factory=list)
    done: int = 0
    total: int = 0
    heard: list[Transcribed] = field(default_factory=list)
    read: list[ScreensRead] = field(default_factory=list)


class Telling:
    """Makes reports of a summary that another thread fills."""

    def __init__(self, summary: Summary) -> None:
        self.summary = summary
        self.ended: list[str] = []
        self.heard: list[Transcribed] = []
        self.read: list[ScreensRead] = []
        self.done = self.total = 0
        self._told: dict[str, float] = {}

    def report(self, wanted: int) -> Report:
        """Return what is new."""
        # First of all: what had its turn is in the rest.
        made = Report(wanted, self._new("ended", self.ended), done=self.done, total=self.total)
        for name in COUNTS:
            value = getattr(self.summary, name)
            made.counts[name] = value - self._told.get(name, 0)
            self._told[name] = value
        for name in LISTS:
            setattr(made, name, self._new(name, getattr(self.summary, name)))
        made.heard, made.read = self._new("heard", self.heard), self._new("read", self.read)
        return made

    def _new(self, name: str, items: list[Any]) -> list[Any]:
        first = int(self._told.get(name, 0))
        new = items[first:]
        self._told[name] = first + len(new)
        return new


def take_in(summary: Summary, report: Report) -> None:
    """Add a report to the summary of all workers."""
    for name, value in report.counts.items():
        setattr(summary, name, getattr(summary, name) + value)
    for name in LISTS:
        getattr(summary, name).extend(getattr(report, name))


Made = TypeVar("Made", Transcribed, ScreensRead)


def joined(made: Sequence[Made]) -> Made | None:
    """Return what several workers transcribed, or read, as of one; None for nothing."""
    if not made:
        return None
    total = made[0]
    for more in made[1:]:
        for each in fields(total):
            if not isinstance(value := getattr(more, each.name), str):
                setattr(total, each.name, getattr(total, each.name) + value)
    return total
