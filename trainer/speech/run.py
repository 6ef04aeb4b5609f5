"""Transcribe the videos of a collection that have no subtitles, several at a time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.ingest.beside import Sidecars
from trainer.ingest.errors import BadVideo
from trainer.ingest.passes import Counts, Pass, Progress, Task, Told
from trainer.ingest.scan import VideoFile
from trainer.ingest.sidecars import says_nothing
from trainer.ingest.transcripts import Contents, Transcripts
from trainer.speech.engines import Engine, check_spec, open_engine
from trainer.speech.hearing import Outcome, transcribe
from trainer.speech.sound import about


@dataclass(frozen=True, slots=True)
class Recogniser:
    """ENGINE[:MODEL] as `open_engine` takes it. language: spoken, None where it is to be detected.

    terms: names and such that are said, which it is to expect.
    """

    spec: str
    device: str = "auto"
    language: str | None = None
    terms: tuple[str, ...] = ()

    def open(self) -> Engine:
        """Load it."""
        return open_engine(self.spec, self.device, self.language, self.terms)

    def make(self, task: Task, engine: Engine, told: Told) -> Outcome:
        """Transcribe a video."""
        return transcribe(task, engine, told)


@dataclass(slots=True)
class Transcribed(Counts):
    """What came of it. speech: seconds listened to."""

    cues: int = 0
    speech: float = 0.0

    def note(self, outcome: Outcome) -> None:
        """Count a transcript."""
        self.videos += 1
        self.cues += outcome.cues
        self.speech += outcome.speech

    def as_json(self) -> dict[str, Any]:
        """Return it for `--json`."""
        return self.told(cues=self.cues, speech_seconds=round(self.speech, 1))

    def line(self) -> str:
        """Return it in one line."""
        speech = f"{self.cues} sentences in {self.speech:.0f} s of speech"
        return f"transcribed {self.videos} videos, {speech} {self.closing()}"


def transcribe_all(
    collection: Path, files: Sequence[VideoFile], recogniser: Recogniser, progress: Progress
) -> Transcribed:
    """Write transcripts of those files that have sound, and no subtitles beside or inside them.

    A transcript that was corrected is kept, and one that this very engine made. A file that cannot be read
    is in `failed`. Raises InvalidInput or Unavailable for a recogniser that cannot be had, Unavailable
    for a full disk. Runs again where it stopped, inside a file too.
    """
    check_spec(recogniser.spec, recogniser.language, recogniser.terms)
    result = Transcribed(recogniser.spec)
    candidates = list(_candidates(Transcripts.of(collection), files))
    if all(task.made(None) for task, _ in candidates):
        result.kept = len(candidates)
        return result
    # Not before: a large one takes seconds to load.
    engine = recogniser.open()
    result.engine = engine.name
    todo = [(task, length) for task, length in candidates if not task.made(engine.name)]
    result.kept = len(candidates) - len(todo)
    Pass(recogniser, engine, engine.parallel, result.note, result.fail).run(todo, progress)
    return result


def _candidates(transcripts: Transcripts, files: Sequence[VideoFile]) -> Iterator[tuple[Task, float]]:
    """Yield the videos that have sound and no subtitles, each content once, and their lengths."""
    sidecars, contents, seen = Sidecars(), Contents(transcripts.folder), set()
    for file in files:
        try:
            found = about(file.path)
            beside = sidecars.of(file.path).path
            if found.has_text or not found.has_sound or not (beside is None or says_nothing(beside)):
                continue
            content = contents.of(file.path)
        except (BadVideo, OSError):  # ingest says why
            continue
        if content not in seen:
            seen.add(content)
            yield Task(file.path, content, transcripts), found.seconds
    contents.keep()
