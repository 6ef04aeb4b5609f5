"""Structured logs: one JSON object a line on stderr, each with the ids of its request and its trace.

A bounded queue and a writer thread decouple logging from stderr: when its reader stalls, lines are dropped
and counted, and no request blocks.
"""

import atexit
import contextlib
import contextvars
import json
import logging
import os
import queue
import sys
import threading
import time
import uuid
import weakref
from collections.abc import Callable
from typing import TextIO

from engine.errors import InvalidInput, SprError

request_id: contextvars.ContextVar[str] = contextvars.ContextVar("request_id", default="")
trace_id: contextvars.ContextVar[str] = contextvars.ContextVar("trace_id", default="")

_PLAIN = set(vars(logging.makeLogRecord({}))) | {"message", "asctime"}
_ENCODER = json.JSONEncoder(ensure_ascii=False, default=str)
KEPT = 10_000  # lines in the queue
AGAIN = 60.0  # seconds after which what has been told is told again
LAST_WORDS = 1.0  # seconds to flush the queue at exit


class JsonFormatter(logging.Formatter):
    """A record as one line of JSON; `extra=` fields become keys."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line = {
            "time": f"{seconds}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if request_id.get():
            line["request_id"] = request_id.get()
        if trace_id.get():
            line["trace_id"] = trace_id.get()
        line.update({key: value for key, value in vars(record).items() if key not in _PLAIN})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return _ENCODER.encode(line)


def line(logger: str, message: str, level: int = logging.WARNING) -> str:
    """Return a message as a line of the log, whatever level is configured."""
    record = logging.LogRecord(logger, level, "", 0, message, None, None)
    return JsonFormatter().format(record) + "\n"


class Writer:
    """A bounded queue of lines and the thread that writes them to a stream; `put` never blocks.

    When `kept` lines are queued, or the disk is full, new ones are dropped; their number is logged once the
    stream accepts again.
    """

    def __init__(self, stream: TextIO, kept: int = KEPT) -> None:
        # A queue.Queue, which bounds itself, costs a search more than its line of the log does.
        self._lines: queue.SimpleQueue[str | threading.Event | None] = queue.SimpleQueue()
        self._kept, self._dropped = kept, [0]
        settings = (stream, self._lines, self._dropped)
        threading.Thread(target=_write_all, args=settings, name="log", daemon=True).start()
        # The thread does not hold the writer: it ends with it.
        weakref.finalize(self, self._lines.put, None).atexit = False

    def put(self, text: str) -> None:
        """Enqueue a text, or count it as dropped."""
        if self._lines.qsize() < self._kept:
            self._lines.put(text)
        else:
            self._dropped[0] += 1

    def flush(self, seconds: float) -> None:
        """Wait until the queue is empty, at most so many seconds."""
        written = threading.Event()
        self._lines.put(written)
        written.wait(seconds)


def _write_all(
    stream: TextIO, lines: "queue.SimpleQueue[str | threading.Event | None]", counted: list[int]
) -> None:
    out = _Out(stream)
    while (text := lines.get()) is not None:
        if isinstance(text, threading.Event):
            text.set()
            continue
        if not out.write(text):
            counted[0] += 1
            continue
        dropped, counted[0] = counted[0], 0
        why = "nobody read them in time, or the disk is full"
        if dropped and not out.write(line("spr.logs", f"{dropped} lines of the log dropped: {why}")):
            counted[0] += dropped


class _Out:
    """Writes whole texts to a stream."""

    def __init__(self, stream: TextIO) -> None:
        self._stream, self._torn = stream, b""

    def write(self, text: str) -> bool:
        """Write a text, behind a torn one on a line of its own; return whether all of it is there."""
        try:
            number = self._stream.fileno()
        except (OSError, ValueError):
            with contextlib.suppress(OSError, ValueError):
                self._stream.write(text)
            return True
        data, done = self._torn + text.encode(errors="replace"), 0
        # os.write on a file: the stream's lock would be held while its reader stalls.
        try:
            while done < len(data):
                done += os.write(number, data[done:])
        except OSError:
            pass
        if done:
            self._torn = b"" if data[:done].endswith(b"\n") else b"\n"
        return done == len(data)


class _Handler(logging.Handler):
    """Formats in the calling context, which has the request id, and enqueues in `Writer`."""

    def __init__(self, writer: Writer) -> None:
        super().__init__()
        self.writer = writer

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self.writer.put(self.format(record) + "\n")
        except Exception:
            self.handleError(record)


def configure(level: str = "info") -> Writer:
    """Send this process's logs to stderr as JSON lines; return what writes them."""
    # Nothing of where a line comes from is written: not looking for it halves what a line costs.
    logging._srcfile = None
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    writer = Writer(sys.stderr)
    handler = _Handler(writer)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # FAISS logs at info which instruction sets it cannot load, at every start.
    logging.getLogger("faiss").setLevel(logging.WARNING)
    logging.getLogger("grpc._cython.cygrpc").addFilter(_of_the_server)
    atexit.register(writer.flush, LAST_WORDS)
    return writer


def bind_request_id(given: str) -> str:
    """Bind `given`, or a new id if it is empty, as this request's id; InvalidInput if it cannot be logged."""
    if len(given) > 64 or not (given.isascii() and (given + "x").isprintable()):
        raise InvalidInput("request_id must be at most 64 printable ASCII characters", field="request_id")
    bound = given or uuid.uuid4().hex
    request_id.set(bound)
    return bound


def _of_the_server(record: logging.LogRecord) -> bool:
    """Leave out, with its traceback, that gRPC could not send what nobody waits for any more."""
    return not record.getMessage().startswith("ExecuteBatchError raised in core")


class Fault:
    """Rate-limited logging of a failure that every search may repeat: when it begins, changes and ends.

    At most one line in `pause` seconds, also when the failure flaps; the last one has the count.
    """

    def __init__(self, log: logging.Logger, what: str, pause: float = 1.0) -> None:
        self._log, self._what, self._pause = log, what, pause
        self._reason, self._count, self._next = "", 0, 0.0

    def happened(self, why: object, reason: str) -> None:
        """Count a failure; log it if its reason is new."""
        self._count += 1
        if reason != self._reason and self._due():
            self._log.warning("%s is lost: %s", self._what, why, extra={"reason": reason})
            self._reason = reason

    def over(self) -> None:
        """Record a success; log the end of the failure."""
        if self._count and self._due():
            self._log.warning("%s is back", self._what, extra={"searches_without": self._count})
            self._reason, self._count = "", 0

    def _due(self) -> bool:
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + self._pause
        return True


class Waiting:
    """Tells of what stops a loop that tries again and again: when it is another, and once a minute."""

    def __init__(self, log: logging.Logger, clock: Callable[[], float] = time.monotonic) -> None:
        self._log, self._clock = log, clock
        self._told, self._next = "", 0.0

    def tell(self, what: str, error: Exception) -> None:
        """Log an error, with its traceback where it is neither a refusal nor the disk's."""
        said, now = f"{what}: {error!r}", self._clock()
        if said != self._told or now >= self._next:
            self._told, self._next = said, now + AGAIN
            expected = isinstance(error, SprError | OSError)
            self._log.error("%s: %s", what, error, exc_info=None if expected else error)
