from pathlib import Path

import pytest

from engine.errors import InvalidInput, NotFound
from trainer.formats.lines import read_lines
from trainer.formats.moments import load_moments, load_predictions

TEXT = "one\u2028two\u2029three\u0085four\x0bfive\x0csix\x1cseven"
ROW = '{"qid": 1, "query": "%s", "vid": "v", "duration": 9, "relevant_windows": [[0, 3]]}'


def test_a_line_ends_at_a_line_feed_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    # JSON forbids bare control characters inside a text, so these three are written as escapes.
    said = TEXT.replace("\x0b", "\\u000b").replace("\x0c", "\\u000c").replace("\x1c", "\\u001c")
    path.write_bytes(f"{ROW % said}\r\n\n{ROW.replace('1', '2', 1) % 'other'}".encode())
    assert [query.query for query in load_moments(path).queries] == [TEXT, "other"]
    assert [where.rpartition(": ")[2] for where, _ in read_lines(path)] == ["line 1", "line 3"]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32", "utf-32-le"])
def test_unicode_is_read_without_a_mark_too(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(f"{ROW % 'ein Mädchen'}\n{ROW.replace('1', '2', 1) % 'zwei'}\n".encode(encoding))
    assert [query.query for query in load_moments(path).queries] == ["ein Mädchen", "zwei"]


def test_files_put_together_keep_their_byte_order_marks(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(f"\ufeff{ROW % 'one'}\n\ufeff{ROW.replace('1', '2', 1) % 'two'}\n\ufeff", "utf-8")
    assert [query.query for query in load_moments(path).queries] == ["one", "two"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be-with-mark"])
def test_a_byte_order_mark_says_the_encoding(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "a.jsonl"
    text = ROW % "ein Mädchen\u2028kocht"
    marked = "\ufeff" + text
    path.write_bytes(marked.encode("utf-16-be") if "mark" in encoding else text.encode(encoding))
    assert load_moments(path).queries[0].query == "ein Mädchen\u2028kocht"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ((ROW % "café").encode("latin-1"), "is not UTF-8 text; save it as UTF-8"),
        (b"\xff\xfe{", "is not UTF-8 text"),
        (b"[" * 200_000, "line 1 is nested too deeply"),
        (b'{"a":' * 200_000, "line 1 is nested too deeply"),
        (b'{}\n{"a": 1', "line 2 is not JSON: Expecting ',' delimiter at column 8; write one"),
        (b"null", "line 1 is no object; write one object a line"),
        (b'{"qid": 1, "qid": 2}', "line 1 is not JSON: it has 'qid' twice"),
        (ROW.replace("9", "1" + "0" * 5000).encode() % b"x", "is beyond 1.8e308"),
        (ROW.encode() % b"a \\ud800 b", "holds half a character"),
        (ROW.encode() % b"a \\uDC00 b", "holds half a character"),
    ],
)
def test_what_cannot_be_read_is_a_sentence(tmp_path: Path, content: bytes, expected: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match=expected):
        list(read_lines(path))
    with pytest.raises(InvalidInput):
        load_predictions(path)


def test_escapes_of_whole_characters_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(ROW % "a \\ud83d\\ude00 b", encoding="ascii")
    assert load_moments(path).queries[0].query == "a \U0001f600 b"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"none\.jsonl does not exist"):
        list(read_lines(tmp_path / "none.jsonl"))
