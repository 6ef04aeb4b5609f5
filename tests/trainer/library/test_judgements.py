"""The file of judgements: durable when acknowledged, in snapshots, and what counts of it."""

import subprocess
import sys
from pathlib import Path

import pytest

from engine.errors import Mismatch, Overloaded
from spr.v1.feedback_service_pb2 import Judgement as Message
from spr_client.feedback import Judgement, judgement_to_pb
from tests.trainer.library.tiny import write_part, write_version
from trainer.formats.feedback import judged, split_of, training
from trainer.library.judgements import FILE, Judgements, stored
from trainer.library.restore import restore
from trainer.library.snapshot import snapshot

LENGTHS = {"a": 60.0, "b": 60.0}
# Killed as soon as a judgement is acknowledged, by the signal that no process survives. Before that another
# process has read the file, as an export and a training do.
KILLED = """
import os, signal, subprocess, sys
from pathlib import Path
from spr.v1.feedback_service_pb2 import Judgement
from trainer.library.judgements import Judgements
judgements = Judgements(Path(sys.argv[1]))
judgements.record([Judgement(id="first", query="a ball", video_id="a", grade=4)])
read = "import sys, pathlib, trainer.library.judgements as kept; kept.stored(pathlib.Path(sys.argv[1]))"
subprocess.run([sys.executable, "-c", read, sys.argv[1]], check=True)
judgements.record([Judgement(id="mine", query="a ball", video_id="a", grade=4)])
os.kill(os.getpid(), signal.SIGKILL)
"""


def said(
    grade: int, start: float, end: float, *, who: str = "", video: str = "a", **fields: object
) -> Message:
    message = judgement_to_pb(
        Judgement(query="a ball", video=video, span=(start, end), grade=grade, **fields)  # type: ignore[arg-type]
    )
    message.who = who
    return message


def moments(*judgements: Message) -> list[tuple[str, float, float, float | None]]:
    (query,) = judged(judgements, LENGTHS)
    return [(one.video, one.start, one.end, one.relevance) for one in query.moments]


def test_what_is_acknowledged_outlives_a_kill(tmp_path: Path) -> None:
    child = [sys.executable, "-c", KILLED, str(tmp_path)]
    assert subprocess.run(child, check=False, timeout=100).returncode == -9
    assert [one.id for one in stored(tmp_path)] == ["first", "mine"]


def test_a_snapshot_has_them_and_a_restore_loses_none(tmp_path: Path) -> None:
    home = tmp_path / "c"
    home.mkdir()
    (home / "collection.json").write_text('{"name": "tiny", "format": 1}')
    write_version(home, [write_part(home, ["a"])], reason="build")
    kept = Judgements(home)
    kept.record([said(3, 1, 2, id="old")])
    # Still open, and what SQLite has not moved into its file yet is copied too.
    snapshot(home, str(tmp_path / "backup"))
    kept.delete(["old"])
    kept.record([said(4, 1, 2, id="new")])
    kept.close()
    restore(home, str(tmp_path / "backup"))
    assert {one.id for one in stored(home)} == {"old", "new"}
    restore(tmp_path / "elsewhere", str(tmp_path / "backup"))
    assert [one.id for one in stored(tmp_path / "elsewhere")] == ["old"]


def test_a_full_file_refuses_and_keeps_what_it_has(tmp_path: Path) -> None:
    kept = Judgements(tmp_path, most=2)
    with pytest.raises(Overloaded, match="2 judgements are kept"):
        kept.record([said(1, 0, 1), said(1, 2, 3), said(1, 4, 5)])
    kept.record([said(1, 0, 1), said(1, 2, 3)])
    assert len(kept.all()) == 2
    kept.close()


def test_a_file_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"no database, certainly" * 1000)
    with pytest.raises(Mismatch, match=f"{FILE}.*no video is"):
        stored(tmp_path)


def test_the_latest_of_a_person_counts() -> None:
    dragged = said(4, 12, 20, shown=(10.0, 14.0))
    assert moments(said(2, 10, 14), dragged) == [("a", 12, 20, 4)]
    assert moments(dragged, said(1, 11, 20)) == [("a", 11, 20, 1)]
    apart = said(4, 12, 20), said(2, 20, 28), said(1, 12, 20, video="b")
    assert moments(*apart) == [("a", 12, 20, 4), ("a", 20, 28, 2), ("b", 12, 20, 1)]


def test_of_several_persons_the_median_counts() -> None:
    three = said(4, 10, 20, who="x"), said(3, 12, 22, who="y"), said(0, 10, 21, who="z")
    assert moments(*three) == [("a", 11, 21, 3)]
    # Callers of one token who give names are several.
    named = [said(grade, 10, 20, annotator=name) for name, grade in (("p", 4), ("q", 2))]
    assert moments(*named) == [("a", 10, 20, 3)]


def test_queries_are_dealt_to_splits_by_their_words_alone() -> None:
    assert split_of("A  red ball") == split_of("a red ball")
    dealt = [split_of(f"query {number}") for number in range(500)]
    assert [round(dealt.count(split) / 100) for split in ("train", "val", "test")] == [3, 1, 1]
    query = next(f"query {n}" for n in range(50) if split_of(f"query {n}") == "train")
    found = judged([judgement_to_pb(Judgement(query=query, video="a", span=(1, 2), grade=0))], LENGTHS)
    # Nothing that is relevant: nothing to train on.
    assert training(found, "train") == []
    assert judged([said(1, 0, 1, video="deleted")], LENGTHS) == []


def test_what_lies_behind_the_end_of_a_video_that_is_shorter_by_now_is_left_out() -> None:
    judgements = [said(4, 5, 9), said(3, 8, 11, video="b"), said(2, 10, 12, video="b")]
    (query,) = judged(judgements, {"a": 5.0, "b": 10.0})
    assert [(one.video, one.start, one.end, one.relevance) for one in query.moments] == [("b", 8, 10, 3)]
