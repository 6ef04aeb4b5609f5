"""Passes over videos before an ingest: each writes a sidecar of what a model hears or reads in a file.

Several files at a time in processes of their own, where the model gains by that; going on after a kill
inside a file, where it stopped.
"""

import concurrent.futures
import json
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from typing import Any, Generic, Protocol, Self, TypeAlias, TypeVar

from engine.cores import cores
from engine.files import refusal
from trainer.ingest import media
from trainer.ingest.errors import BadVideo
from trainer.ingest.transcripts import Transcripts
from trainer.pools import pool, track

E = TypeVar("E")
O_co = TypeVar("O_co", covariant=True)
O = TypeVar("O")  # noqa: E741

# Called with the seconds of a video that are done.
Told: TypeAlias = Callable[[float], None]
# Called with seconds of video done, of all, and the name of the file.
Progress: TypeAlias = Callable[[float, float, str], None]
# Seconds between two looks at how far the processes are.
_LOOK = 0.2


@dataclass(frozen=True, slots=True)
class Task:
    """A video to make a sidecar of. content: the SHA-256 of its file."""

    path: Path
    content: str
    transcripts: Transcripts

    @property
    def partial(self) -> Path:
        """Where results are kept until the sidecar is complete."""
        return self.transcripts.folder / f".{self.content}.partial.jsonl"

    def made(self, engine: str | None) -> bool:
        """Whether a sidecar is there that stays: a corrected one, or one that this very engine made."""
        head = self.transcripts.head(self.content)
        return head is not None and (head.corrected or head.engine == engine)


@dataclass(slots=True)
class Counts:
    """What came of a pass. engine: its name. kept: sidecars that were there. failed: file and reason."""

    engine: str = ""
    videos: int = 0
    kept: int = 0
    failed: list[tuple[Path, str]] = field(default_factory=list)

    def fail(self, path: Path, reason: str) -> None:
        """Note a file that cannot be read."""
        self.failed.append((path, reason))

    def told(self, **own: float) -> dict[str, Any]:
        """Return it for `--json`, with what the pass counts of its own."""
        failed = [{"path": media.shown(path), "reason": reason} for path, reason in self.failed]
        return {"engine": self.engine, "videos": self.videos, **own, "kept": self.kept, "failed": failed}

    def closing(self) -> str:
        """Return the end of its line: the engine, and how many were there or failed."""
        kept = f", {self.kept} were there" if self.kept else ""
        failed = f", {len(self.failed)} failed" if self.failed else ""
        return f"({self.engine}{kept}{failed})"


class Maker(Protocol[E, O_co]):
    """What makes sidecars; it is sent to processes."""

    def open(self) -> E:
        """Load the model."""
        ...

    def make(self, task: Task, engine: E, told: Told) -> O_co:
        """Write the sidecar of a video; BadVideo where it cannot be read, OSError for a full disk."""
        ...


class Partial:
    """What is known of a long file, a line a result: what another engine found is thrown away."""

    def __init__(self, task: Task, engine: str) -> None:
        """Read what an earlier run left. engine: its name, with all that decides what it finds."""
        task.transcripts.folder.mkdir(parents=True, exist_ok=True)
        self._path = task.partial
        self.known: dict[str, Any] = {}
        whole = self._read(engine)
        self._file = self._path.open("a" if whole else "w", encoding="utf-8")
        if not whole:
            self._write({"engine": engine})
            for at, found in self.known.items():
                self._write({"at": at, "found": found})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def note(self, at: str, found: Any) -> None:
        """Keep a result, as JSON knows it."""
        self.known[at] = found
        self._write({"at": at, "found": found})

    def remove(self) -> None:
        """Forget it all: the sidecar is written."""
        self._path.unlink(missing_ok=True)

    def _read(self, engine: str) -> bool:
        """Take what is there; False where the file is to be written anew: torn, of another engine."""
        try:
            lines = self._path.read_text(encoding="utf-8").splitlines()
            if json.loads(lines[0])["engine"] != engine:
                return False
            for line in lines[1:]:
                entry = json.loads(line)
                self.known[entry["at"]] = entry["found"]
        except (OSError, ValueError, LookupError, TypeError):
            return False
        return True

    def _write(self, value: dict[str, Any]) -> None:
        self._file.write(json.dumps(value) + "\n")
        self._file.flush()


@dataclass(frozen=True, slots=True)
class Pass(Generic[E, O]):
    """A pass by an engine that is loaded. made, failed: called in this thread as files end."""

    maker: Maker[E, O]
    engine: E
    parallel: bool
    made: Callable[[O], None]
    failed: Callable[[Path, str], None]

    def run(self, todo: Sequence[tuple[Task, float]], progress: Progress) -> None:
        """Make the sidecars of files with their seconds. Raises Unavailable for a full disk."""
        lengths = [length for _, length in todo]
        done = dict.fromkeys(range(len(todo)), 0.0)
        count, last = min(cores(), len(todo)) if self.parallel else 1, 0
        with _workers(count, self.maker, self.engine) as (submit, reached):
            futures = {submit(number, task): number for number, (task, _) in enumerate(todo)}
            waiting: set[Future[O]] = set(futures)
            while waiting:
                ended, waiting = concurrent.futures.wait(waiting, _LOOK, concurrent.futures.FIRST_COMPLETED)
                for future in ended:
                    last = futures.pop(future)
                    done[last] = lengths[last]
                    self._note(todo[last][0], future)
                for number, seconds in reached():
                    if number in futures.values():
                        last = number
                        done[last] = max(done[last], min(seconds, lengths[last] or seconds))
                progress(sum(done.values()), sum(lengths), todo[last][0].path.name)

    def _note(self, task: Task, future: "Future[O]") -> None:
        try:
            self.made(future.result())
        except BadVideo as error:
            self.failed(task.path, str(error))
        except BrokenExecutor:
            self.failed(task.path, "the process at it ended (is there enough memory?); run the command again")
        except OSError as error:
            raise refusal(error, error.filename or task.transcripts.folder) from error


Submit: TypeAlias = Callable[[int, Task], "Future[Any]"]
Reached: TypeAlias = Callable[[], Iterator[tuple[int, float]]]


@contextmanager
def _workers(count: int, maker: Maker[E, O], engine: E) -> Iterator[tuple[Submit, Reached]]:
    """Yield what hands a task over and what tells how far they are: one thread here, or processes."""
    if count <= 1:
        told: list[tuple[int, float]] = []
        thread = ThreadPoolExecutor(1)

        def submit(number: int, task: Task) -> "Future[O]":
            return thread.submit(maker.make, task, engine, lambda at: told.append((number, at)))

        def reached() -> Iterator[tuple[int, float]]:
            return iter([told.pop() for _ in range(len(told))])

        try:
            yield submit, reached
        finally:
            thread.shutdown(wait=False, cancel_futures=True)
        return
    track()
    queue: SimpleQueue[tuple[int, float]] = multiprocessing.get_context("spawn").SimpleQueue()

    def told_by_processes() -> Iterator[tuple[int, float]]:
        while not queue.empty():
            yield queue.get()

    with pool(count, _begin, maker, queue) as processes:
        yield lambda number, task: processes.submit(_work, number, task), told_by_processes


# Of a process of the pool.
_maker: Maker[Any, Any]
_engine: Any
_queue: "SimpleQueue[tuple[int, float]]"


def _begin(maker: Maker[Any, Any], queue: "SimpleQueue[tuple[int, float]]") -> None:
    global _maker, _engine, _queue
    _maker, _engine, _queue = maker, maker.open(), queue


def _work(number: int, task: Task) -> Any:
    return _maker.make(task, _engine, lambda at: _queue.put((number, at)))
