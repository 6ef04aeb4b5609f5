"""Passes over files: what is told while they run."""

import threading
from pathlib import Path

from trainer.ingest.passes import Pass, Task, Told
from trainer.ingest.transcripts import Transcripts


class Waits:
    """A maker that is half way through each file until progress says so."""

    def __init__(self) -> None:
        self.named = {name: threading.Event() for name in ("a.mp4", "b.mp4")}

    def open(self) -> None:
        """Load nothing."""

    def make(self, task: Task, engine: None, told: Told) -> bool:
        told(1.0)
        return self.named[task.path.name].wait(10)


def test_progress_names_the_file_that_is_at_it(tmp_path: Path) -> None:
    maker, made = Waits(), list[bool]()
    transcripts = Transcripts(tmp_path)
    todo = [(Task(Path(name), name, transcripts), 2.0) for name in maker.named]
    one = Pass(maker, None, False, made.append, lambda path, reason: None)
    one.run(todo, lambda done, total, name: maker.named[name].set())
    assert made == [True, True]
