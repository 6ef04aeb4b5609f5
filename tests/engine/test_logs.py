"""Logs when nobody reads them."""

import atexit
import errno
import io
import json
import logging
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from engine import logs
from engine.logs import Fault, Waiting, Writer
from tests.engine.running import written

# Logs far more than a pipe holds, says so on stdout, and ends when told.
CHATTY = """
import logging, sys
from engine import logs
logs.configure("info")
for i in range(40_000):
    logging.getLogger("spr.test").info("line %d", i)
print("done", flush=True)
sys.stdin.readline()
"""


def test_a_stderr_that_nobody_reads_stops_nothing_and_what_is_lost_is_counted() -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", CHATTY],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        text=True,
    )
    with child:
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stdout.readline() == "done\n"
        _, errors = child.communicate("\n", timeout=60)
    lines = [json.loads(line)["message"] for line in errors.splitlines()]
    lost = [int(line.split()[0]) for line in lines if "dropped" in line]
    assert lines[0] == "line 0"
    assert lost
    assert sum(lost) + len(lines) - len(lost) == 40_000


def test_a_stream_that_is_gone_is_no_error() -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as stream:
        writer = Writer(stream)
        os.close(reading)
        writer.put("nobody is there\n")
        writer.flush(10)


def test_what_a_full_disk_lacks_is_counted_and_no_line_is_glued_to_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room, write = [10], os.write
    with (tmp_path / "log").open("w", encoding="utf-8") as stream:

        def full(number: int, data: bytes) -> int:
            if number != stream.fileno():
                return write(number, data)
            if not room[0]:
                raise OSError(errno.ENOSPC, "No space left on device")
            written = write(number, data[: room[0]])
            room[0] -= written
            return written

        monkeypatch.setattr("engine.logs.os.write", full)
        writer = Writer(stream)
        for text in ("first", "second", "third", "fourth"):
            writer.put(f"{text}\n")
        writer.flush(10)
        room[0] = 1000
        writer.put("fifth\n")
        writer.flush(10)
    first, torn, fifth, lost = (tmp_path / "log").read_text(encoding="utf-8").splitlines()
    assert (first, torn, fifth) == ("first", "seco", "fifth")
    assert json.loads(lost)["message"].startswith("3 lines of the log dropped")


def test_the_thread_ends_with_its_writer_after_the_last_line() -> None:
    before = set(threading.enumerate())
    stream = io.StringIO()
    writer = Writer(stream)
    (thread,) = set(threading.enumerate()) - before
    writer.put("the last\n")
    del writer
    thread.join(60)
    assert (thread.is_alive(), stream.getvalue()) == (False, "the last\n")


def test_a_caller_who_has_left_leaves_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging, "basicConfig", lambda **_: None)
    monkeypatch.setattr(atexit, "register", lambda *_: None)  # it would hold what writes
    logs.configure()
    of_grpc = logging.getLogger("grpc._cython.cygrpc")
    with written(of_grpc.name) as lines:
        of_grpc.error("ExecuteBatchError raised in core by servicer method [%s]", "/m")
        of_grpc.error("Unexpected [%s] raised by servicer method", "ValueError")
    assert lines.get(timeout=10)["message"].startswith("Unexpected")


def test_a_fault_is_told_when_it_begins_changes_and_ends() -> None:
    with written("spr.test") as lines:
        fault = Fault(logging.getLogger("spr.test"), "shard-00000", pause=0.0)
        fault.over()
        for reason in ("UNAVAILABLE", "UNAVAILABLE", "UNAVAILABLE", "SILENT", "SILENT"):
            fault.happened("why", reason)
        fault.over()
        fault.over()
    told = [lines.get_nowait() for _ in range(lines.qsize())]
    assert [line["message"] for line in told] == [
        "shard-00000 is lost: why",
        "shard-00000 is lost: why",
        "shard-00000 is back",
    ]
    assert [line.get("reason") for line in told[:2]] == ["UNAVAILABLE", "SILENT"]
    assert told[2]["searches_without"] == 5


def test_a_fault_that_comes_and_goes_does_not_fill_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.logs.time.monotonic", lambda: 100.0)
    with written("spr.test") as lines:
        fault = Fault(logging.getLogger("spr.test"), "shard-00000")
        for _ in range(100):
            fault.happened("why", "UNAVAILABLE")
            fault.over()
    assert lines.qsize() == 1


def test_what_a_loop_waits_for_is_told_once_a_minute_and_when_it_changes() -> None:
    now = [0.0]
    with written("spr.test") as lines:
        waiting = Waiting(logging.getLogger("spr.test"), lambda: now[0])
        for error in (OSError("full"), KeyError("defect")):
            for _ in range(100):
                waiting.tell("jobs wait", error)
                now[0] += 0.5
        waiting.tell("jobs wait", KeyError("another"))
    told = [lines.get_nowait() for _ in range(lines.qsize())]
    assert [line["message"] for line in told] == [
        "jobs wait: full",
        "jobs wait: 'defect'",
        "jobs wait: 'another'",
    ]
    assert ["exception" in line for line in told] == [False, True, True]
    with written("spr.test") as lines:
        for _ in range(241):
            waiting.tell("jobs wait", KeyError("another"))
            now[0] += 0.5
    assert lines.qsize() == 2
