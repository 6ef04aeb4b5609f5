"""Read the screens of a collection's videos, several at a time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av

from engine.cores import cores
from trainer.ingest.container import opened, video_stream
from trainer.ingest.errors import BadVideo
from trainer.ingest.passes import Counts, Pass, Progress, Task, Told
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
class ScreensRead(Counts):
    """What came of it. readings: pictures that were read. seconds: of video."""

    lines: int = 0
    readings: int = 0
    seconds: float = 0.0

    def note(self, outcome: Outcome) -> None:
        """Count a video."""
        self.videos += 1
        self.lines += outcome.lines
        self.readings += outcome.readings
        self.seconds += outcome.seconds

    def as_json(self) -> dict[str, Any]:
        """Return it for `--json`."""
        return self.told(lines=self.lines, readings=self.readings, seconds=round(self.seconds, 1))

    def line(self) -> str:
        """Return it in one line."""
        read = f"{self.lines} texts in {self.readings} pictures of {self.seconds:.0f} s"
        return f"read the screens of {self.videos} videos, {read} {self.closing()}"


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
