"""`spr add`, `delete` and `compact` as a user runs them."""

import contextlib
import io
import json
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest

from engine import versions
from engine.corpus import open_corpus
from engine.version_lock import held, only_writer
from spr_cli.main import main
from tests.trainer.library.running import clip, world


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return world(tmp_path_factory.mktemp("commands"))


@pytest.fixture
def path(built: Path, tmp_path: Path) -> Path:
    """Give each test a copy of the same collection."""
    return shutil.copytree(built, tmp_path / "world" / built.name)


def spr(*arguments: Any, code: int = 0) -> SimpleNamespace:
    """Run the whole command, in this process."""
    stdout, stderr = io.StringIO(), io.StringIO()
    with (
        contextlib.redirect_stdout(stdout),
        contextlib.redirect_stderr(stderr),
        patch.object(sys, "argv", ["spr", *map(str, arguments)]),
        pytest.raises(SystemExit) as ended,
    ):
        main()
    assert (ended.value.code or 0) == code, stderr.getvalue()
    return SimpleNamespace(stdout=stdout.getvalue(), stderr=stderr.getvalue())


def ids(path: Path) -> list[str]:
    return open_corpus(path).catalogue.ids


def test_videos_are_added_told_and_deleted(path: Path, built: Path) -> None:
    new = clip(path.parent / "new" / "talk.mp4")
    told = json.loads(spr("add", path, new, built.parent / "videos", "--json").stdout)
    assert (told["added"], told["unchanged"]) == (["talk"], ["built-0", "built-1"])
    assert told["version"] == versions.current(path)
    assert ids(path) == ["built-0", "built-1", "talk"]

    wrong = spr("delete", path, "talc", code=2)
    assert "nothing was deleted: did you mean 'talk'" in wrong.stderr
    assert len(wrong.stderr.splitlines()) == 1
    assert ids(path) == ["built-0", "built-1", "talk"]

    assert "1 video is gone from version" in spr("delete", path, "talk").stdout
    before = versions.read(path).parent
    with held(path, before):
        first = spr("delete", path, "talk", "--purge")
    assert "from the disk" not in first.stdout
    assert f"note: version {before} is still used" in first.stderr
    told = json.loads(spr("delete", path, "talk", "--purge", "--json").stdout)
    assert told == {"version": versions.current(path), "deleted": ["talk"], "purged": True, "held": []}
    assert len(versions.numbers(path)) == 1
    assert ids(path) == ["built-0", "built-1"]
    assert "nothing to merge" in spr("compact", path).stdout


def test_what_cannot_be_read_is_told_and_the_rest_is_added(path: Path) -> None:
    folder = path.parent / "mixed"
    clip(folder / "good.mp4")
    (folder / "bad.mp4").write_bytes(b"\0\0\0\x18ftypisom" + bytes(2000))
    done = spr("add", path, folder, code=1)
    assert "bad.mp4" in done.stdout
    assert "good" in ids(path)


@pytest.mark.parametrize("command", [("add", "video.mp4"), ("delete", "good"), ("compact",)])
def test_another_writer_refuses_the_command(
    path: Path, command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.version_lock.PATIENCE", 0)
    with only_writer(path, "build"):
        done = spr(command[0], path, *command[1:], code=4)
    assert "(build, process" in done.stderr
    assert len(done.stderr.splitlines()) == 1
