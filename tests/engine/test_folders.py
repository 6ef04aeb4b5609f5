"""Directories that are whole or absent."""

import errno
import os
import sys
from pathlib import Path

import pytest

from engine import folders
from engine.folders import new_folder
from engine.partials import all_partials, partial_of, remove_abandoned


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture(params=["exchanged", "renamed"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How one takes another's place: in one step, or in two, where the file system cannot."""
    if request.param == "renamed":
        monkeypatch.setattr(folders, "exchanged", lambda one, other: False)
    return str(request.param)


def test_what_is_there_is_replaced_or_stays(tmp_path: Path, way: str) -> None:
    home = tmp_path / "a" / "model"
    for text in ("one", "two"):
        with new_folder(home, replace=True) as folder:
            (folder / "weights").write_text(text)
        assert (home / "weights").read_text() == text
    with pytest.raises(OSError, match=r"not empty|exists"), new_folder(home) as folder:
        (folder / "weights").write_text("three")
    with pytest.raises(KeyboardInterrupt), new_folder(home, replace=True) as folder:
        raise KeyboardInterrupt
    assert (names(home.parent), (home / "weights").read_text()) == (["model"], "two")


def test_what_is_there_comes_back_where_the_new_one_cannot_take_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, rename = tmp_path / "model", Path.rename
    home.mkdir()
    (home / "weights").write_text("one")
    for path in (home / "weights", home):
        os.utime(path, (0, 0))

    def full(path: Path, target: Path) -> Path:
        if path == partial_of(home):
            # As a garbage collection does meanwhile.
            remove_abandoned(all_partials(tmp_path, 1))
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return rename(path, target)

    monkeypatch.setattr(folders, "exchanged", lambda one, other: False)
    monkeypatch.setattr(Path, "rename", full)
    with pytest.raises(OSError, match="No space"), new_folder(home, replace=True) as folder:
        (folder / "weights").write_text("two")
    assert (names(tmp_path), (home / "weights").read_text()) == (["model"], "one")


def test_what_killed_writers_left_goes_a_day_later(tmp_path: Path) -> None:
    home = tmp_path / "model"
    left = [partial_of(home), partial_of(tmp_path / "old-model"), partial_of(tmp_path / "other")]
    for path in left:
        # Of another process.
        path = path.with_name(path.name.replace(f"{os.getpid()}", "1", 1))
        path.mkdir()
        os.utime(path, (0, 0))
    with new_folder(home):
        pass
    assert [name.partition(".1-")[0] for name in names(tmp_path)] == [".other", "model"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux swaps names in one step")
def test_another_takes_its_place_in_one_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "model"
    with new_folder(home) as folder:
        (folder / "weights").write_text("one")

    def killed(path: Path, target: Path) -> Path:
        raise KeyboardInterrupt

    # Between two renames there is none.
    monkeypatch.setattr(Path, "rename", killed)
    with new_folder(home, replace=True) as folder:
        (folder / "weights").write_text("two")
    assert (names(tmp_path), (home / "weights").read_text()) == (["model"], "two")
