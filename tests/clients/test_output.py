import json

import pytest

from spr.v1.admin_service_pb2 import GetStatusResponse
from spr.v1.types_pb2 import Moment
from spr_cli import search
from spr_cli.output import message_values, print_json, print_table
from spr_client import translate_moments


def test_a_row_is_a_line_with_whole_names(capsys: pytest.CaptureFixture[str]) -> None:
    long = "folder/" * 30 + "film.mp4"
    names = ["b]y[red].mp4", "two\nlines", "\x1b[31mred", "赤い玉", long, "a\u202egpj"]
    print_table(["n", "video", ""], ([str(n), name, "refined"] for n, name in enumerate(names)), right=["n"])
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split() == ["n", "video"]
    assert [line.split()[1] for line in lines] == [
        "b]y[red].mp4", r"two\nlines", r"\x1b[31mred", "赤い玉", long, r"a\u202egpj",
    ]  # fmt: skip
    assert all(line.endswith("refined") for line in lines)
    # A wide character takes two columns.
    assert lines[3].index("refined") == lines[0].index("refined") - 3


def test_numbers_are_on_the_right(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["rank", "x"], [["1", "a"], ["10", "b"]], right=["rank"])
    assert capsys.readouterr().out.splitlines() == ["rank  x", "   1  a", "  10  b"]


def test_json_is_a_line_that_a_terminal_does_not_obey(capsys: pytest.CaptureFixture[str]) -> None:
    value = {"name": "é 赤 \x1b[31m \x9b31m \u202e \u2028 \x7f \n"}
    print_json(value)
    out = capsys.readouterr().out
    assert "é 赤" in out
    assert not set("\x1b\x9b\u202e\u2028\x7f") & set(out)
    assert out.count("\n") == 1
    assert json.loads(out) == value


def test_counts_of_a_message_are_numbers_in_the_order_of_its_fields() -> None:
    answer = GetStatusResponse(searches_answered=5)
    answer.collection.videos = 3
    answer.collection.segment_length.FromSeconds(4)
    answer.workers.add(segments=2**40)
    found = message_values(answer)
    assert list(found) == [field.name for field in answer.DESCRIPTOR.fields if field.name in found]
    assert (found["searches_answered"], found["searches_failed"]) == (5, 0)
    assert (found["collection"]["videos"], found["collection"]["segment_length"]) == (3, "4s")
    assert found["workers"][0]["segments"] == 2**40


def test_a_row_says_where_else_a_moment_is() -> None:
    sent = Moment(video_id="a", rank=1)
    for number in range(5):
        sent.also_in.add(video_id=f"b{number}").span.start_offset.FromSeconds(64 + number)
    row = search._row(translate_moments.moment_from_pb(sent), known=False)
    assert row[-1] == "coarse, also in b0 at 1:04, also in b1 at 1:05, also in b2 at 1:06, and 2 more"
