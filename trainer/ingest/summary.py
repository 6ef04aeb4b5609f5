"""What an ingest did, for people and for programs."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.printable import printable
from trainer.ingest import media
from trainer.ingest.errors import BadVideo

if TYPE_CHECKING:
    from trainer.screen.run import ScreensRead
    from trainer.speech.run import Transcribed


@dataclass(frozen=True, slots=True)
class Failure:
    """A file that was not ingested. reason: a sentence. kind: one of errors.Kind."""

    path: str
    reason: str
    kind: str


@dataclass(slots=True)
class Summary:
    """Counts of one run; files that failed, were ingested with a warning, are gone, or cannot be seen now.

    left_out: files and folders that look like videos and are not taken. moved: videos with another name than
    before. notes: sentences about the collection.
    clip_fingerprint: of the clip encoder, "" without one.
    frames: rows written. decoded_frames: pictures they were chosen from. seconds_of_video: of what was
    ingested. elapsed: seconds, from the first file opened to the last one stored. described: unchanged files
    whose labels or date are others now. transcribed, screens: what a recogniser, and a reader of
    screens, did before, if one was asked.
    """

    collection: str
    encoder: str
    fingerprint: str
    clip_fingerprint: str = ""
    ingested: int = 0
    skipped: int = 0
    described: int = 0
    frames: int = 0
    decoded_frames: int = 0
    seconds_of_video: float = 0.0
    elapsed: float = 0.0
    failed: list[Failure] = field(default_factory=list)
    warnings: list[dict[str, str]] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)
    left_out: list[dict[str, str]] = field(default_factory=list)
    moved: list[dict[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    transcribed: dict[str, Any] = field(default_factory=dict)
    screens: dict[str, Any] = field(default_factory=dict)

    def fail(self, path: Path, error: BadVideo) -> None:
        """Note that a file could not be ingested."""
        self.failed.append(Failure(media.shown(path), str(error), error.kind))

    def warn(self, path: Path, message: str) -> None:
        """Note what is odd about a file that was ingested."""
        self.warnings.append({"path": media.shown(path), "warning": message})

    def move(self, before: str, now: str) -> None:
        """Note that a video has another id, for its file has another name."""
        self.moved.append({"before": before, "now": now})

    def heard(self, transcribed: "Transcribed") -> None:
        """Note what was transcribed before the ingest."""
        self.transcribed = transcribed.as_json()
        if transcribed.videos or transcribed.failed:
            self.notes.append(transcribed.line())
        for path, reason in transcribed.failed:
            self.warn(path, f"it was not transcribed: {reason}")

    def read(self, screens: "ScreensRead") -> None:
        """Note what was read on screens before the ingest."""
        self.screens = screens.as_json()
        if screens.videos or screens.failed:
            self.notes.append(screens.line())
        for path, reason in screens.failed:
            self.warn(path, f"its screen was not read: {reason}")

    def sort(self) -> None:
        """Put failures and warnings in the order of their files; they come in the order files end."""
        self.failed.sort(key=lambda failure: failure.path)
        self.warnings.sort(key=lambda warning: warning["path"])
        self.moved.sort(key=lambda move: move["before"])

    def as_json(self) -> dict[str, Any]:
        """Return the JSON object of `--json`."""
        return {
            **asdict(self),
            "frames_per_second": round(self._per_second(self.decoded_frames), 1),
            "video_seconds_per_second": round(self._per_second(self.seconds_of_video), 1),
        }

    def lines(self) -> list[str]:
        """Return the report for people."""
        speed = self._per_second(self.seconds_of_video)
        labelled = f" ({self.described} with other labels or dates)" if self.described else ""
        counts = f"{self.ingested} ingested, {self.skipped} unchanged{labelled}, {len(self.failed)} failed"
        out = [f"note     {note}" for note in self.notes]
        out += [f"failed   {printable(failure.path)}: {failure.reason}" for failure in self.failed]
        out += [f"warning  {printable(each['path'])}: {each['warning']}" for each in self.warnings]
        out += [f"left out {printable(each['path'])}: {each['reason']}" for each in self.left_out]
        out += [f"renamed  {each['before']} is now {each['now']}" for each in self.moved]
        if self.gone:
            out.append(
                f"{_videos(self.gone)} gone from disk, but still in the collection: {few(self.gone)} "
                "(to take one out: --forget ID)"
            )
        if self.unseen:
            out.append(
                f"{_videos(self.unseen)} out of sight, in a folder that is not there or may not be entered, "
                f"and still in the collection: {few(self.unseen)}"
            )
        return [
            *out,
            f"{counts}; {self.frames} frames of {self.seconds_of_video:.0f} s of video "
            f"in {self.elapsed:.1f} s ({speed:.1f}x real time, "
            f"{self._per_second(self.decoded_frames):.0f} pictures a second)",
        ]

    def _per_second(self, amount: float) -> float:
        return amount / self.elapsed if self.elapsed else 0.0


class Interrupted(KeyboardInterrupt):
    """Ctrl-C came; what `summary` counts is stored."""

    def __init__(self, summary: Summary) -> None:
        super().__init__()
        self.summary = summary


def few(names: Sequence[str]) -> str:
    """Return the first of some names."""
    return ", ".join(names[:5]) + (" ..." if len(names) > 5 else "")


def _videos(names: Sequence[str]) -> str:
    return "1 video is" if len(names) == 1 else f"{len(names)} videos are"
