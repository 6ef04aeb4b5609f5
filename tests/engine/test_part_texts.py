"""The lines of a part: written by number, found by time."""

from pathlib import Path

import pytest

from engine.errors import Mismatch
from engine.part_texts import FILE, PartTexts, write_lines
from engine.texts import Line

_SAID = [Line(0.0, 2.0, "one"), Line(1.5, 5.0, "two \u00e9"), Line(7.0, 9.0, "three")]
_WRITTEN = [Line(3.0, 4.0, "EXIT", (0.1, 0.2, 0.3, 0.5))]


def test_finds_the_lines_of_a_time_in_a_channel(tmp_path: Path) -> None:
    write_lines(tmp_path, [((), ()), (_SAID, _WRITTEN)])
    texts = PartTexts.open(tmp_path)
    assert texts is not None
    assert texts.lines(1, "said", 2.0, 7.0) == [_SAID[1]]
    assert texts.lines(1, "said", 1.9, 7.1) == _SAID
    assert texts.lines(1, "written", 0.0, 10.0) == _WRITTEN
    assert texts.all(1, "said") == _SAID
    assert texts.all(0, "said") == []
    texts.close()


def test_the_same_lines_have_the_same_bytes(tmp_path: Path) -> None:
    for folder in (tmp_path / "one", tmp_path / "other"):
        folder.mkdir()
        write_lines(folder, [(_SAID, _WRITTEN)])
    assert (tmp_path / "one" / FILE).read_bytes() == (tmp_path / "other" / FILE).read_bytes()


def test_no_file_is_no_text_and_a_damaged_one_is_named(tmp_path: Path) -> None:
    assert PartTexts.open(tmp_path) is None
    (tmp_path / FILE).write_bytes(b"x" * 100)
    texts = PartTexts.open(tmp_path)
    assert texts is not None
    with pytest.raises(Mismatch, match=r"texts\.sqlite cannot be read"):
        texts.all(0, "said")
    texts.close()
