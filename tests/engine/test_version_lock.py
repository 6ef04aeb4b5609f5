import contextlib
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from engine import versions
from engine.errors import NotFound, Unavailable
from engine.version_lock import held, locked_for_removal, only_library, only_writer
from tests.engine.corpus import Corpus

HOLDER = """
import sys
from pathlib import Path
from engine.version_lock import held
with held(Path(sys.argv[1]), sys.argv[2]):
    print("held", flush=True)
    sys.stdin.read()
"""


def free(collection: Path, version: str) -> bool:
    with locked_for_removal(collection, version) as nobody:
        return nobody


def test_a_version_is_held_while_anybody_holds_it(tmp_path: Path) -> None:
    corpus = Corpus()
    collection = corpus.write(tmp_path / "c")
    with held(collection, corpus.version), held(collection, corpus.version):
        assert not free(collection, corpus.version)
    assert free(collection, corpus.version)


def test_what_a_killed_process_held_is_free(tmp_path: Path) -> None:
    corpus = Corpus()
    collection = corpus.write(tmp_path / "c")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", HOLDER, str(collection), corpus.version]
    holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        assert not free(collection, corpus.version)
        holder.kill()
        holder.wait(timeout=20)
    assert free(collection, corpus.version)


def test_one_that_is_removed_before_it_is_held_is_not_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = Corpus()
    collection = corpus.write(tmp_path / "c")

    def remove(number: int, how: int) -> None:
        versions.path_of(collection, corpus.version).unlink()

    monkeypatch.setattr("engine.version_lock.fcntl.flock", remove)
    with pytest.raises(NotFound, match="was removed just now"), held(collection, corpus.version):
        pass


def test_one_writes_at_a_time(tmp_path: Path) -> None:
    with only_writer(tmp_path, "build"):
        words = rf"another process writes .* \(build, process {os.getpid()}\)"
        with pytest.raises(Unavailable, match=words) as told:
            with only_writer(tmp_path, "add", patience=0):
                pass
        assert told.value.reason == "WRITER_RUNNING"
        with only_library(tmp_path), pytest.raises(Unavailable, match="another service"):
            with only_library(tmp_path):
                pass
    with only_writer(tmp_path, "add"):
        pass


def test_a_writer_waits_for_another_for_a_while(tmp_path: Path) -> None:
    first = contextlib.ExitStack()
    first.enter_context(only_writer(tmp_path, "build"))
    timer = threading.Timer(0.1, first.close)
    timer.start()
    with only_writer(tmp_path, "add", patience=60):
        timer.join()


def test_a_full_disk_keeps_nobody_from_making_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with only_writer(tmp_path, "gc"), pytest.raises(Unavailable, match="another process writes"):
        with only_writer(tmp_path, patience=0):
            pass


@pytest.mark.parametrize("alone", [only_writer, only_library])
def test_a_collection_that_is_away_is_not_made_again(tmp_path: Path, alone: Any) -> None:
    with pytest.raises(NotFound, match="disk is away"), alone(tmp_path / "c"):
        pass
    assert not (tmp_path / "c").exists()
