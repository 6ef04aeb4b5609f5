"""Transcribe the videos of a collection that have no subtitles, several at a time."""

import concurrent.futures
import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from typing import Any, TypeAlias

from engine.errors import Unavailable
from trainer.ingest.errors import BadVideo
from trainer.ingest.limits import cores
from trainer.ingest.scan import VideoFile
from trainer.ingest.sidecars import Sidecars
from trainer.ingest.transcripts import Contents, Transcripts
from trainer.speech.engines import Engine, check_spec, open_engine
from trainer.speech.hearing import Outcome, Task, transcribe
from trainer.speech.sound import about

# Called with seconds of video done, of all, and the name of the file.
Progress: TypeAlias = Callable[[float, float, str], None]
# Seconds between two looks at how far the processes are.
_LOOK = 0.2


@dataclass(frozen=True, slots=True)
class Recogniser:
    """ENGINE[:MODEL] as `open_engine` takes it. language: spoken, None where it is to be detected."""

    spec: str
    device: str = "auto"
    language: str | None = None

    def open(self) -> Engine:
        """Load it."""
        return open_engine(self.spec, self.device, self.language)


@dataclass(slots=True)
class Transcribed:
    """What came of it. speech: seconds listened to. kept: transcripts that were there already.

    failed: file and reason.
    """

    engine: str
    videos: int = 0
    cues: int = 0
    speech: float = 0.0
    kept: int = 0
    failed: list[tuple[Path, str]] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return it for `--json`."""
        failed = [{"path": str(path), "reason": reason} for path, reason in self.failed]
        return {
            "engine": self.engine,
            "videos": self.videos,
            "cues": self.cues,
            "speech_seconds": round(self.speech, 1),
            "kept": self.kept,
            "failed": failed,
        }

    def line(self) -> str:
        """Return it in one line."""
        kept = f", {self.kept} were there" if self.kept else ""
        failed = f", {len(self.failed)} failed" if self.failed else ""
        return (
            f"transcribed {self.videos} videos, {self.cues} sentences in {self.speech:.0f} s of speech "
            f"({self.engine}{kept}{failed})"
        )


def transcribe_all(
    collection: Path, files: Sequence[VideoFile], recogniser: Recogniser, progress: Progress
) -> Transcribed:
    """Write transcripts of those files that have sound, and no subtitles beside or inside them.

    A transcript that was corrected is kept, and one that this very engine made. A file that cannot be read
    is in `failed`. Raises InvalidInput or Unavailable for a recogniser that cannot be had, Unavailable
    for a full disk. Runs again where it stopped, inside a file too.
    """
    check_spec(recogniser.spec)
    result = Transcribed(recogniser.spec)
    candidates = list(_candidates(Transcripts.of(collection), files))
    if all(_corrected(task) for task, _ in candidates):
        result.kept = len(candidates)
        return result
    # Not before: a large one takes seconds to load.
    engine = recogniser.open()
    result.engine = engine.name
    todo = [(task, length) for task, length in candidates if not _made(task, engine.name)]
    result.kept = len(candidates) - len(todo)
    lengths = [length for _, length in todo]
    done = dict.fromkeys(range(len(todo)), 0.0)
    count = min(cores(), len(todo)) if engine.parallel else 1
    with _workers(count, recogniser, engine) as (submit, reached):
        futures = {submit(number, task): number for number, (task, _) in enumerate(todo)}
        waiting: set[Future[Outcome]] = set(futures)
        while waiting:
            ended, waiting = concurrent.futures.wait(waiting, _LOOK, concurrent.futures.FIRST_COMPLETED)
            for number, seconds in reached():
                done[number] = max(done[number], min(seconds, lengths[number] or seconds))
            for future in ended:
                number = futures[future]
                done[number] = lengths[number]
                _note(result, todo[number][0], future)
            last = max((futures[future] for future in ended), default=0)
            progress(sum(done.values()), sum(lengths), todo[last][0].path.name)
    return result


def _candidates(transcripts: Transcripts, files: Sequence[VideoFile]) -> Iterator[tuple[Task, float]]:
    """Yield the videos that have sound and no subtitles, each content once, and their lengths."""
    sidecars, contents, seen = Sidecars(), Contents(transcripts.folder), set()
    for file in files:
        try:
            found = about(file.path)
            if found.has_text or not found.has_sound or sidecars.of(file.path).path is not None:
                continue
            content = contents.of(file.path)
        except (BadVideo, OSError):  # ingest says why
            continue
        if content not in seen:
            seen.add(content)
            yield Task(file.path, content, transcripts), found.seconds
    contents.keep()


def _corrected(task: Task) -> bool:
    head = task.transcripts.head(task.content)
    return head is not None and head.corrected


def _made(task: Task, engine: str) -> bool:
    """Whether a transcript is there that stays: a corrected one, or one that this very engine made."""
    head = task.transcripts.head(task.content)
    return head is not None and (head.corrected or head.engine == engine)


def _note(result: Transcribed, task: Task, future: Future[Outcome]) -> None:
    try:
        outcome = future.result()
    except BadVideo as error:
        result.failed.append((task.path, str(error)))
    except OSError as error:
        raise Unavailable(
            f"{task.transcripts.folder} cannot be written ({error.strerror}); make room and run the same "
            "command again, it goes on where it stopped"
        ) from error
    else:
        result.videos += 1
        result.cues += outcome.cues
        result.speech += outcome.speech


Submit: TypeAlias = Callable[[int, Task], "Future[Outcome]"]
Reached: TypeAlias = Callable[[], Iterator[tuple[int, float]]]


@contextmanager
def _workers(count: int, recogniser: Recogniser, engine: Engine) -> Iterator[tuple[Submit, Reached]]:
    """Yield what hands a task over and what tells how far they are: one thread here, or processes."""
    executor: Executor
    if count <= 1:
        told: list[tuple[int, float]] = []
        executor = ThreadPoolExecutor(1)

        def submit(number: int, task: Task) -> "Future[Outcome]":
            return executor.submit(transcribe, task, engine, lambda at: told.append((number, at)))

        def reached() -> Iterator[tuple[int, float]]:
            return iter([told.pop() for _ in range(len(told))])

    else:
        context = multiprocessing.get_context("spawn")
        queue: SimpleQueue[tuple[int, float]] = context.SimpleQueue()
        executor = ProcessPoolExecutor(count, context, _begin, (recogniser, queue))

        def submit(number: int, task: Task) -> "Future[Outcome]":
            return executor.submit(_work, number, task)

        def reached() -> Iterator[tuple[int, float]]:
            while not queue.empty():
                yield queue.get()

    try:
        yield submit, reached
    finally:
        executor.shutdown(wait=False, cancel_futures=True)


# Of a process of the pool.
_engine: Engine
_queue: "SimpleQueue[tuple[int, float]]"


def _begin(recogniser: Recogniser, queue: "SimpleQueue[tuple[int, float]]") -> None:
    global _engine, _queue
    # Ctrl-C reaches the whole group of processes: the parent says what it means, this one just ends.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    _engine, _queue = recogniser.open(), queue


def _work(number: int, task: Task) -> Outcome:
    return transcribe(task, _engine, lambda at: _queue.put((number, at)))
