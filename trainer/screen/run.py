"""Read the screens of a collection's videos, several at a time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av

from trainer.ingest import media
from trainer.ingest.container import opened, video_stream
from trainer.ingest.errors import BadVideo
from trainer.ingest.limits import cores
from trainer.ingest.passes import Pass, Progress, Task, Told
from trainer.ingest.scan import VideoFile
from trainer.ingest.transcripts import Contents, Transcripts
from trainer.screen.engine import RapidOcr, ScreenEngine, check_installed
from trainer.screen.reading import Outcome, read_screen


@dataclass(frozen=True, slots=True)
class ScreenReader:
    """RapidOCR on so many threads."""

    threads: int

    def open(self) -> ScreenEngine:
        """Load it."""
        return RapidOcr(self.threads)

    def make(self, task: Task, engine: ScreenEngine, told: Told) -> Outcome:
        """Read a video's screen."""
        return read_screen(task, engine, told)


@dataclass(slots=True)
class ScreensRead:
    """What came of it. readings: pictures that were read. kept: videos that had been read before.

    seconds: of video. failed: file and reason.
    """

    engine: str = ""
    videos: int = 0
    lines: int = 0
    readings: int = 0
    seconds: float = 0.0
    kept: int = 0
    failed: list[tuple[Path, str]] = field(default_factory=list)

    def note(self, outcome: Outcome) -> None:
        """Count a video."""
        self.videos += 1
        self.lines += outcome.lines
        self.readings += outcome.readings
        self.seconds += outcome.seconds

    def fail(self, path: Path, reason: str) -> None:
        """Note a file that cannot be read."""
        self.failed.append((path, reason))

    def as_json(self) -> dict[str, Any]:
        """Return it for `--json`."""
        failed = [{"path": media.shown(path), "reason": reason} for path, reason in self.failed]
        return {
            "engine": self.engine,
            "videos": self.videos,
            "lines": self.lines,
            "readings": self.readings,
            "seconds": round(self.seconds, 1),
            "kept": self.kept,
            "failed": failed,
        }

    def line(self) -> str:
        """Return it in one line."""
        kept = f", {self.kept} were there" if self.kept else ""
        failed = f", {len(self.failed)} failed" if self.failed else ""
        return (
            f"read the screens of {self.videos} videos, {self.lines} texts in {self.readings} pictures of "
            f"{self.seconds:.0f} s ({self.engine}{kept}{failed})"
        )


def read_screens(collection: Path, files: Sequence[VideoFile], progress: Progress) -> ScreensRead:
    """Read the screens of those files.

    A result that was corrected is kept, and one that this very engine made. A file that cannot be decoded is
    in `failed`. Raises Unavailable where RapidOCR is missing or the disk is full. Runs again where it
    stopped, inside a file too.
    """
    check_installed()
    result, transcripts = ScreensRead(), Transcripts.of_screens(collection)
    tasks = list(_tasks(transcripts, files))
    reader = ScreenReader(max(1, cores() // max(1, len(tasks))))
    engine = reader.open()
    result.engine = engine.name
    todo = [(task, _seconds(task.path)) for task in tasks if not task.made(engine.name)]
    result.kept = len(tasks) - len(todo)
    Pass(reader, engine, True, result.note, result.fail).run(todo, progress)
    return result


def _tasks(transcripts: Transcripts, files: Sequence[VideoFile]) -> Iterator[Task]:
    """Yield the videos that can be opened, each content once."""
    contents, seen = Contents(transcripts.folder), set[str]()
    for file in files:
        try:
            if contents.known(file.path) is None:
                with opened(file.path) as container:
                    video_stream(container, file.path)
            content = contents.of(file.path)
        except (BadVideo, OSError):  # ingest says why
            continue
        if content not in seen:
            seen.add(content)
            yield Task(file.path, content, transcripts)
    contents.keep()


def _seconds(path: Path) -> float:
    """Return a file's length as its header says, 0.0 where it says nothing."""
    try:
        with opened(path) as container:
            return 0.0 if container.duration is None else container.duration / av.time_base
    except BadVideo:
        return 0.0
