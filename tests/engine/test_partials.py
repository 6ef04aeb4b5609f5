"""Names of what is being written, and what nobody writes any more."""

import os
import time
from pathlib import Path

import pytest

from engine.files import replacing
from engine.partials import ABANDONED, LONGEST_NAME, partial_of, partials_of, remove_abandoned


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
