"""Readers in processes: what they say crosses whole, and a process that dies costs its file alone."""

import os
import signal
import threading
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests.trainer.ingest.factories import regular, write_video
from trainer.ingest import readers
from trainer.ingest.errors import BadVideo
from trainer.ingest.limits import Admit
from trainer.ingest.reader import Job, Read, ReadOptions, Word, words
from trainer.ingest.readers import DecoderProcess, Readers
from trainer.ingest.video import Sample

OPTIONS = ReadOptions(Fraction(1), 32)


@pytest.fixture
def jobs(tmp_path: Path) -> list[Job]:
    path = write_video(tmp_path / "a.mp4", regular(3, 10))
    (tmp_path / "b.mp4").write_bytes(b"nothing")
    return [Job("a", path, None, None), Job("b", tmp_path / "b.mp4", None, None), Job("c", path, None, None)]


def test_a_process_says_what_a_thread_says(jobs: list[Job]) -> None:
    with Readers(jobs, OPTIONS, 1, apart=True) as reading:
        told = [item for item in reading if item is not None]
    said = [(job, word) for job in jobs for word in words(job, OPTIONS)]
    assert [(job.id, type(word)) for job, word in told] == [(job.id, type(word)) for job, word in said]
    for (_, ours), (_, theirs) in zip(told, said, strict=True):
        if isinstance(ours, Sample) and isinstance(theirs, Sample):
            np.testing.assert_array_equal(ours.image, theirs.image)
            assert (ours.row, ours.rows, ours.time) == (theirs.row, theirs.rows, theirs.time)
        elif isinstance(ours, BadVideo) and isinstance(theirs, BadVideo):
            assert (ours.kind, str(ours), ours.reason) == (theirs.kind, str(theirs), theirs.reason)
        else:
            assert ours == theirs


def test_a_process_that_dies_costs_one_file_and_another_goes_on(jobs: list[Job]) -> None:
    child, stop = DecoderProcess(OPTIONS), threading.Event()
    child.start()
    assert child.pid is not None
    os.kill(child.pid, signal.SIGKILL)
    (word,) = child.words(jobs[0], stop)
    assert isinstance(word, BadVideo)
    assert (word.kind, "exit code -9" in str(word)) == ("corrupt", True)
    *samples, last = child.words(jobs[2], stop)
    assert len(samples) == 3
    assert isinstance(last, Read)
    child.kill()
    assert child.close() == -9


def test_leaving_early_ends_threads_and_processes(jobs: list[Job]) -> None:
    before = set(threading.enumerate())
    with Readers(jobs * 20, OPTIONS, 1, room=1, apart=True) as reading:
        next(item for item in reading if item is not None)
    assert set(threading.enumerate()) <= before


def test_large_pictures_wait_for_each_other(jobs: list[Job], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "DECODED_PIXELS", 1)
    most, now, lock = 0, 0, threading.Lock()

    def watched(job: Job, options: ReadOptions, admit: Admit) -> Iterator[Word]:
        nonlocal most, now

        def asks(pixels: int) -> None:
            nonlocal most, now
            admit(pixels)
            with lock:
                now += 1
                most = max(most, now)

        for word in words(job, options, asks):
            if isinstance(word, Read):
                with lock:
                    now -= 1
            yield word

    monkeypatch.setattr(readers, "words", watched)
    with Readers([jobs[0]] * 6, OPTIONS, 3) as reading:
        ended = [item for item in reading if item is not None and isinstance(item[1], Read)]
    assert (len(ended), most) == (6, 1)
