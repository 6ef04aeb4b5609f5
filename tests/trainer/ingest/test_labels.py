"""Labels and dates beside videos: read, joined, refused, and picked up without reading the video again."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.trainer.ingest.levels import Levels, run, store
from trainer.ingest.labels import Labels, Told

MAY = datetime(2024, 5, 1, tzinfo=UTC).timestamp()


def write(path: Path, content: object) -> None:
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")


def test_what_is_written_of_a_video_is_joined(tmp_path: Path) -> None:
    write(tmp_path / "metadata.json", {"a.mp4": {"labels": ["rome"], "date": "2020-01-01"}, "b.mp4": {}})
    write(tmp_path / "metadata.csv", "\ufefffile_name,labels\na.mp4,interview; long \nb.mp4,\n")
    write(tmp_path / "a.json", {"labels": ["rome", "colour"], "date": "2024-05-01"})
    write(tmp_path / "c.csv", "label,date\nfirst,\nsecond,2024-05-01T02:00:00+02:00\n")
    labels = Labels()
    a, b, c = (labels.of(tmp_path / f"{name}.mp4") for name in "abc")
    assert (a.labels, a.date, a.warnings) == (("colour", "interview", "long", "rome"), MAY, ())
    assert (b.labels, b.date) == ((), None)
    assert (c.labels, c.date) == (("first", "second"), MAY)


def test_a_video_with_the_longest_name_has_no_labels_and_no_warning(tmp_path: Path) -> None:
    assert Labels().of(tmp_path / f"{'a' * 252}.ts") == Told()


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("a.json", "{", "not JSON"),
        ("a.json", {"labels": "rome"}, "no list of texts"),
        ("a.json", {"labels": [1]}, "no list of texts"),
        ("a.json", {"date": "yesterday"}, "'yesterday' is no date"),
        ("a.json", {"labels": ["x" * 101]}, "more than 100"),
        ("a.json", {"labels": ["two\nlines"]}, "control characters"),
        ("a.csv", b"label\n\xff\n", "it is not UTF-8 text; save it as UTF-8"),
        ("metadata.csv", "name,labels\na.mp4,x\n", "column file_name"),
        ("metadata.json", {"a.mp4": ["x"]}, "no object"),
    ],
)
def test_what_cannot_be_used_is_a_warning(tmp_path: Path, name: str, content: object, why: str) -> None:
    if isinstance(content, bytes):
        (tmp_path / name).write_bytes(content)
    else:
        write(tmp_path / name, content)
    told = Labels().of(tmp_path / "a.mp4")
    assert told.labels == ()
    (warning,) = told.warnings
    assert warning.startswith(f"{name} is not used, for ")
    assert why in warning


@pytest.mark.parametrize(
    "content",
    [
        "label;date\r\nrome;2024-05-01\r\n",
        "label\tdate\nrome\t2024-05-01\n",
        "Label, Date\nrome, 2024-05-01\n",
        "sep=;\r\nlabel;date\r\nrome;2024-05-01\r\n",
    ],
)
def test_a_table_is_read_as_spreadsheets_write_it(tmp_path: Path, content: str) -> None:
    write(tmp_path / "a.csv", content)
    write(tmp_path / "metadata.csv", 'File_Name;Labels\na.mp4;"long; new"\n')
    told = Labels().of(tmp_path / "a.mp4")
    assert (told.labels, told.date, told.warnings) == (("long", "new", "rome"), MAY, ())


@pytest.mark.parametrize("table", ["x,y\n1,2\n", "Date;Time;Height\n11/30/2026;12:00;3\n"])
def test_a_file_of_another_program_is_left_alone(tmp_path: Path, table: str) -> None:
    write(tmp_path / "a.json", {"title": "A talk"})
    write(tmp_path / "a.csv", table)
    assert Labels().of(tmp_path / "a.mp4").warnings == ()


def test_labels_are_picked_up_without_reading_the_video(tmp_path: Path, videos: Path) -> None:
    write(videos / "long.json", {"labels": ["news"]})
    run(tmp_path)
    before = {video: store(tmp_path).record(video) for video in ("long", "short")}
    assert before["long"].info["labels"] == ["news"]
    write(videos / "long.json", {"labels": ["sports"], "date": "2024-05-01"})
    write(videos / "metadata.csv", "file_name,labels\nshort.mkv,short\n")
    encoder = Levels()
    summary = run(tmp_path, encoder=encoder)
    assert (summary.ingested, summary.skipped, summary.described, encoder.batches) == (0, 3, 2, [])
    now = {video: store(tmp_path).record(video) for video in ("long", "short")}
    assert now["long"].info == before["long"].info | {"labels": ["sports"], "date": MAY}
    assert now["short"].info == before["short"].info | {"labels": ["short"]}
    assert now["long"].streams == before["long"].streams
    (videos / "long.json").unlink()
    assert run(tmp_path).described == 1
    assert "labels" not in store(tmp_path).record("long").info
