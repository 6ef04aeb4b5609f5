"""What is left running is named, and what libraries keep is not."""

import subprocess
import sys
import threading

import pytest

from tests import leftovers
from tests.leftovers import Running


def test_a_thread_and_a_process_are_named_until_they_end(monkeypatch: pytest.MonkeyPatch) -> None:
    before, over = Running(), threading.Event()
    thread = threading.Thread(target=over.wait, name="forgotten")
    library = threading.Thread(target=over.wait, name="fsspecIO")
    thread.start()
    library.start()
    try:
        with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
            monkeypatch.setattr(leftovers, "PATIENCE", 0.0)
            named = before.since()
    finally:
        over.set()
    assert named[0] == "thread forgotten"
    assert [name for name in named if "fsspecIO" in name] == []
    assert any(name.startswith(f"process {process.pid} ") for name in named)
    thread.join()
    library.join()
    assert before.since() == []
