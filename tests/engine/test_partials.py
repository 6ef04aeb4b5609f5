"""Names of what is being written, and what nobody writes any more."""

import os
import time
from pathlib import Path

import pytest

from engine.files import replacing
from engine.partials import ABANDONED, LONGEST_NAME, all_partials, partial_of, partials_of, remove_abandoned


@pytest.mark.parametrize("letter", ["a", "ü", "影"])
def test_a_file_with_the_longest_name_is_written(tmp_path: Path, letter: str) -> None:
    path = tmp_path / (letter * (LONGEST_NAME // len(letter.encode())))
    with replacing(path) as partial:
        partial.write_text("x")
    assert [found.name for found in tmp_path.iterdir()] == [path.name]


def test_what_has_not_changed_for_a_day_goes_and_the_rest_stays(tmp_path: Path) -> None:
    old, new = tmp_path / "old[1]", tmp_path / "new"
    for path in (old, new, tmp_path / "older"):
        partial_of(path).mkdir()
        (partial_of(path) / "weights").write_text("x")
    day_ago = time.time() - ABANDONED - 60
    for path in (old, new):
        os.utime(partial_of(path), (day_ago, day_ago))
    os.utime(partial_of(old) / "weights", (day_ago, day_ago))
    assert list(partials_of(old)) == [partial_of(old)]
    remove_abandoned([*partials_of(old), *partials_of(new), tmp_path / "gone"])
    # What is being written into a directory changes the file alone.
    assert {path.name for path in tmp_path.iterdir()} == {
        partial_of(new).name,
        partial_of(tmp_path / "older").name,
    }


def test_what_another_user_left_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left = partial_of(tmp_path / "out.parquet")
    left.write_text("x")
    os.utime(left, (0, 0))

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refuse)
        remove_abandoned([left])
    assert left.exists()


def test_partials_are_found_in_some_levels_and_not_inside_of_others(tmp_path: Path) -> None:
    outer = partial_of(tmp_path / "a" / "model")
    found = [partial_of(tmp_path / "x"), outer, partial_of(tmp_path / "a" / "b" / "x")]
    others = [outer / found[0].name, partial_of(tmp_path / "a" / "b" / "c" / "x"), tmp_path / ".partials"]
    for path in (*found, *others):
        path.mkdir(parents=True, exist_ok=True)
    assert sorted(all_partials(tmp_path, 3)) == sorted(found)
