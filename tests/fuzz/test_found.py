"""Files that readers failed on."""

import json
import sqlite3
import struct
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from engine import versions
from engine.catalogue import PartCatalogue
from engine.errors import InvalidInput, Mismatch, SprError
from engine.files import BadJson, read_json
from spr.v1.admin_service_pb2 import SubmitJobRequest, Verify
from tests.fuzz.annotation_files import MOMENTS, PREDICTED, ROW, SEGMENT
from tests.fuzz.catalogue import TARGETS
from tests.trainer.library.tiny import write_part
from tests.workers.feature_store.stores import as_format_1, three
from trainer.ingest.unfinished import Unfinished
from trainer.library.jobs import Queue
from workers.feature_store.store import FeatureStore

FAR = "1" + "0" * 400


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("moments.jsonl", {**MOMENTS, "saliency_scores": [1, 2, "HERE"]}),
        ("moments.jsonl", {**MOMENTS, "relevant_clip_ids": ["HERE", 1, 2]}),
        ("predictions.jsonl", {**PREDICTED, "pred_relevant_windows": [[0, 4, "HERE"]]}),
        ("samples.json", {"pos": {}, "neg": {"7": [{**ROW, "timestamp": [0, "HERE"]}]}}),
        ("segments.json", [{"query_id": 7, "relevant_segment": [{**SEGMENT, "score": "HERE"}]}]),
        ("segments.json", [{"query_id": "HERE", "relevant_segment": []}]),
        ("durations.json", {"a": "HERE"}),
    ],
)
@pytest.mark.parametrize("number", [FAR, "1e999", "-1e999"])
def test_numbers_beyond_those_of_a_float_are_refused(
    tmp_path: Path, name: str, value: Any, number: str
) -> None:
    with pytest.raises(InvalidInput, match="is beyond"):
        TARGETS[name].read(tmp_path, json.dumps(value).replace('"HERE"', number).encode())


def test_large_numbers_and_hashes_like_them_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"sha": "1e999", "large": 1e300, "whole": 1' + "0" * 300 + ', "few": [1, 2.5, -1E+2]}')
    assert read_json(path) == {"sha": "1e999", "large": 1e300, "whole": 10**300, "few": [1, 2.5, -100.0]}
    path.write_text(f"[{FAR}]")
    with pytest.raises(BadJson, match="beyond"):
        read_json(path)


@pytest.mark.parametrize(
    "change",
    [
        {"streams": {"frames": [0], "subtitles": [0, 2]}},
        {"streams": {"frames": [0, float("inf")], "subtitles": [0, 2]}},
        {"duration": float("nan")},
        {"info": {"name": "\ud800"}},
        {"uri": None},
        {"info": []},
    ],
)
def test_a_line_of_an_old_journal_that_is_no_videos_is_refused(tmp_path: Path, change: Any) -> None:
    three(tmp_path)
    as_format_1(tmp_path)
    journal = tmp_path / "journal.jsonl"
    first, *rest = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join([json.dumps({**json.loads(first), **change}) + "\n", *rest]))
    for mode in ("r", "a"):
        with pytest.raises(Mismatch, match=r"journal.jsonl is damaged"):
            FeatureStore.open(tmp_path, mode)


def test_a_catalogue_whose_table_has_no_readable_name_is_refused(tmp_path: Path) -> None:
    write_part(tmp_path, ["a"])
    content = next(tmp_path.rglob("catalog.sqlite")).read_bytes()
    at = content.index(b"videos")
    changed = content[:at] + b"\xff" + content[at + 1 :]
    (tmp_path / "catalog.sqlite").write_bytes(changed)
    with pytest.raises(Mismatch, match=r"catalog.sqlite cannot be read"):
        PartCatalogue.open(tmp_path)


@pytest.mark.parametrize("content", [b"y" * 5000, b"a/b", b"a\nb", b"\0"])
def test_a_name_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "CURRENT").write_bytes(content)
    with pytest.raises(InvalidInput, match="CURRENT holds no name"):
        versions.current(tmp_path)


def test_a_queue_whose_rows_hold_no_jobs_is_refused(tmp_path: Path) -> None:
    queue = Queue(tmp_path, "c", 3)
    with sqlite3.connect(tmp_path / "jobs.sqlite") as database:
        row = ("a", "verify", b"\xff", "queued", 0.0, "{")
        database.execute(
            "insert into jobs (id, kind, work, state, created, outcome) values (?,?,?,?,?,?)", row
        )
    database.close()
    for read in (queue.jobs, lambda: queue.take(1)):
        with pytest.raises(Mismatch, match=r"jobs.sqlite cannot be read") as refused:
            read()
        assert refused.value.reason == "QUEUE_CORRUPT"
    queue.close()


def test_a_text_in_a_queue_that_is_none_is_told(tmp_path: Path) -> None:
    with closing(Queue(tmp_path, "c", 3)) as queue:
        queue.submit(SubmitJobRequest(verify=Verify()))
        with closing(sqlite3.connect(tmp_path / "jobs.sqlite")) as database, database:
            database.execute("update jobs set outcome = cast(x'ff' as text)")
        with pytest.raises(SprError, match=r"jobs.sqlite cannot be used \(Could not decode"):
            queue.jobs()


def test_a_damaged_number_of_rows_takes_no_memory(tmp_path: Path) -> None:
    (tmp_path / "rows").write_bytes(struct.pack("<III", 0, 2**32 - 1, 0) + bytes(100))
    assert Unfinished(tmp_path / "rows", 100_000).take(0, 1) is None
