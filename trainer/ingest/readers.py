"""Read many files at once: a bounded queue of samples and of how each file ended.

A reader is a thread here with, for more than a few files, a process of its own that decodes. Decoding
releases the interpreter's lock, but takes it again for every packet: two threads on small pictures are no
faster than one, and slow the encoder down. A process besides survives what kills a decoder.

Memory is bounded in bytes, whatever the files hold: samples wait up to QUEUE_BYTES, and files whose pictures
together have more than DECODED_PIXELS are decoded one after the other.
"""

import contextlib
import multiprocessing
import queue
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Self

from trainer.ingest.errors import BadVideo
from trainer.ingest.limits import Admit, Budget, no_wait
from trainer.ingest.reader import Job, Read, ReadOptions, Unchanged, Word, words
from trainer.ingest.video import Sample
from trainer.pools import deaf_to_ctrl_c

QUEUE_BYTES = 64 << 20
# A decoder holds about ten pictures: two files at the default limit of a picture, sixteen in 4K.
DECODED_PIXELS = 128 << 20


@dataclass(frozen=True, slots=True)
class _Ask:
    """A process waits for leave to decode pictures of so many pixels."""

    pixels: int


class Readers:
    """`count` readers that read `jobs` in order. Use as a context manager; iterate for (job, word)."""

    def __init__(
        self,
        jobs: Iterable[Job],
        options: ReadOptions,
        count: int = 1,
        room: int = QUEUE_BYTES,
        apart: bool = False,
    ) -> None:
        """jobs: may make a reader wait. room: bytes of samples that wait at most, beside those a pipe holds.

        apart: decode in processes.
        """
        self._options = options
        self._queue: queue.SimpleQueue[tuple[Job, Word] | None] = queue.SimpleQueue()
        self._room = Budget(room)
        self._pixels = Budget(DECODED_PIXELS)
        self._todo = iter(jobs)
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._children = [DecoderProcess(options) for _ in range(count if apart else 0)]
        sources: Sequence[DecoderProcess | None] = self._children or [None] * count
        self._threads = [threading.Thread(target=self._run, args=(each,), daemon=True) for each in sources]

    def __enter__(self) -> Self:
        for child in self._children:
            child.start()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._room.stop()
        self._pixels.stop()
        for child in self._children:
            child.kill()
        for thread in self._threads:
            thread.join()
        for child in self._children:
            child.close()

    def __iter__(self) -> Iterator[tuple[Job, Word] | None]:
        """Yield words as they come, and None whenever the readers are behind."""
        running = len(self._threads)
        while running:
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                yield None
                item = self._queue.get()
            if item is None:
                running -= 1
            else:
                self._room.give(_bytes(item[1]))
                yield item

    def _run(self, child: "DecoderProcess | None") -> None:
        while not self._stop.is_set():
            with self._lock:
                job = next(self._todo, None)
            if job is None:
                break
            if not self._read(job, child):
                return
        self._queue.put(None)

    def _read(self, job: Job, child: "DecoderProcess | None") -> bool:
        """Queue the words of a job; False where the reading is to end."""
        claimed = 0

        def admit(pixels: int) -> None:
            nonlocal claimed
            claimed += pixels
            self._pixels.take(pixels)

        try:
            source = (
                words(job, self._options, admit) if child is None else child.words(job, self._stop, admit)
            )
            for word in source:
                if not self._room.take(_bytes(word)):
                    return False
                self._queue.put((job, word))
        finally:
            self._pixels.give(claimed)
        return True


class DecoderProcess:
    """A process that reads files. It blocks while its pipe is full, and ends when this process does."""

    def __init__(self, options: ReadOptions) -> None:
        self._options = options
        self._process: BaseProcess | None = None
        self._pipe: Connection | None = None

    @property
    def pid(self) -> int | None:
        """The process's id; None before `start`."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Start the process; files can be given to it at once."""
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, self._options), daemon=True)
        with deaf_to_ctrl_c():
            self._process.start()
        theirs.close()

    def words(self, job: Job, stop: threading.Event, admit: Admit = no_wait) -> Iterator[Word]:
        """Yield what `reader.words` yields; a process that dies is a BadVideo, another takes its place."""
        assert self._pipe is not None
        try:
            self._pipe.send(job)
            while isinstance(word := self._pipe.recv(), Sample | _Ask):
                if isinstance(word, Sample):
                    yield word
                else:
                    admit(word.pixels)
                    self._pipe.send(None)
        except (EOFError, OSError):
            code = self.close()
            word = BadVideo("corrupt", f"the decoder broke down over it (exit code {code})")
            if not stop.is_set():
                self.start()
        assert isinstance(word, Read | Unchanged | BadVideo)
        yield word

    def kill(self) -> None:
        """End the process now; `words` then ends too."""
        if self._process is not None:
            self._process.kill()

    def close(self) -> int | None:
        """Wait for the process's end and return its exit code; negative for a signal."""
        if self._pipe is not None:
            self._pipe.close()
        if self._process is None:
            return None
        self._process.join()
        return self._process.exitcode


def _serve(pipe: Connection, options: ReadOptions) -> None:
    """Answer each job with its words until the other end is closed."""

    def admit(pixels: int) -> None:
        pipe.send(_Ask(pixels))
        pipe.recv()

    with contextlib.suppress(EOFError, OSError):
        while True:
            for word in words(pipe.recv(), options, admit):
                pipe.send(word)


def _bytes(word: Word) -> int:
    return word.image.nbytes if isinstance(word, Sample) else 0
