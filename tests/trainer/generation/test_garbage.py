"""What no kept version lists leaves the disk, and nothing else."""

import dataclasses
import os
from pathlib import Path
from typing import Any

import pytest

from engine import versions
from engine.corpus import open_corpus
from engine.entries import runs_of
from engine.errors import InvalidInput, Mismatch
from engine.partials import partial_of
from engine.version_lock import held, only_writer
from engine.versions import with_shards
from tests.trainer.generation.built import collection, parts_there
from trainer.generation.build import BuildConfig, BuildReport, build
from trainer.generation.garbage import (
    PURGE,
    Garbage,
    collect_garbage,
    is_purging,
    let_none_before_stay,
)
from workers.index.training import path_of


def three(path: Path) -> list[BuildReport]:
    collection(path)
    kinds = ("flat", "flatl2", "IVF2,Flat")
    return [build(BuildConfig(collection=path, index=index, recall=0.0)) for index in kinds]


def collected(path: Path, keep: int) -> Garbage:
    with only_writer(path):
        return collect_garbage(path, keep)


def test_old_versions_go_with_what_only_they_list(tmp_path: Path) -> None:
    first, second, third = three(tmp_path)
    found = collected(tmp_path, 2)
    assert (found.versions, found.parts, found.held) == ([first.id], first.parts, [])
    assert found.bytes > 0
    assert parts_there(tmp_path) == sorted([*second.parts, *third.parts])
    assert len(found.quantizers) == 1
    for report in (second, third):
        corpus = open_corpus(tmp_path, report.id)
        assert path_of(tmp_path, corpus.version.quantizer_sha256).is_file()
    assert collected(tmp_path, 2) == Garbage()


def test_the_current_version_stays_however_old(tmp_path: Path) -> None:
    first, second, third = three(tmp_path)
    versions.activate(tmp_path, first.id)
    assert collected(tmp_path, 2).versions == [second.id]
    assert versions.numbers(tmp_path) == [first.number, third.number]


def test_what_a_rollback_leads_to_is_the_last_to_go(tmp_path: Path) -> None:
    first, second, third = three(tmp_path)
    about = versions.read(tmp_path, first.id)
    made = versions.commit(tmp_path, with_shards(about, about.shards, "add"))
    versions.activate(tmp_path, made.id)
    assert collected(tmp_path, 2).versions == [second.id, third.id]
    assert collected(tmp_path, 1).versions == [first.id]


def test_a_version_that_a_process_holds_stays_until_it_is_dropped(tmp_path: Path) -> None:
    first, second, third = three(tmp_path)
    with held(tmp_path, first.id):
        found = collected(tmp_path, 1)
        assert (found.versions, found.held) == ([second.id], [first.id])
        assert parts_there(tmp_path) == sorted([*first.parts, *third.parts])
    assert collected(tmp_path, 1).versions == [first.id]


def test_a_part_that_two_versions_share_stays(tmp_path: Path) -> None:
    report = build(BuildConfig(collection=collection(tmp_path)))
    about = versions.read(tmp_path)
    (shard,) = about.shards
    catalogue = open_corpus(tmp_path).catalogue
    entry = dataclasses.replace(shard.parts[0], deleted=runs_of([2]))
    left = shard.segments - int(catalogue.segments[2])
    shard = dataclasses.replace(shard, videos=11, segments=left, parts=(entry,))
    made = versions.commit(tmp_path, with_shards(about, [shard], "delete"))
    versions.activate(tmp_path, made.id)
    found = collected(tmp_path, 1)
    assert (found.versions, found.parts) == ([report.id], [])
    assert "video 02" not in open_corpus(tmp_path).catalogue


def test_what_killed_writers_left_goes_too(tmp_path: Path) -> None:
    report = build(BuildConfig(collection=collection(tmp_path)))
    (tmp_path / "parts" / ".building-1-0" / "index").mkdir(parents=True)
    (tmp_path / "versions" / ".00000002.json.1.partial").write_text("{")
    (tmp_path / "quantizers" / ".0.faiss.1.partial").write_text("")
    unlisted = tmp_path / "parts" / ("0" * 16)
    unlisted.mkdir()
    (unlisted / "part.json").write_text("{}")
    assert collected(tmp_path, 5).parts == ["0" * 16]
    assert parts_there(tmp_path) == report.parts
    for folder in ("versions", "quantizers"):
        assert [path.name for path in (tmp_path / folder).iterdir() if path.name.startswith(".")] == []


def test_what_killed_trainings_and_ingests_left_goes_after_a_day(tmp_path: Path) -> None:
    build(BuildConfig(collection=collection(tmp_path)))
    left = [
        partial_of(tmp_path / name)
        for name in (
            "collection.json",
            "transcripts/0.vtt",
            "models/ranker/CURRENT",
            "models/ranker/ab/train/x",
        )
    ]
    for path in left:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    collected(tmp_path, 5)
    assert all(path.exists() for path in left)
    for path in left:
        os.utime(path, (0, 0))
    collected(tmp_path, 5)
    assert not any(path.exists() for path in left)


def test_what_trainings_remove_meanwhile_ends_no_collection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(BuildConfig(collection=collection(tmp_path)))
    going, scandir = tmp_path / "models" / "ranker" / "ab", os.scandir
    going.mkdir(parents=True, exist_ok=True)

    def raced(path: Any) -> Any:
        if not isinstance(path, int) and Path(path) == going and going.exists():
            going.rmdir()
        return scandir(path)

    monkeypatch.setattr(os, "scandir", raced)
    collected(tmp_path, 5)
    assert not going.exists()


def test_nothing_goes_while_the_current_version_cannot_be_read(tmp_path: Path) -> None:
    _, _, third = three(tmp_path)
    (tmp_path / "versions" / f"{third.number:08d}.json").write_text("{}")
    with pytest.raises(Mismatch, match=r"00000003\.json"):
        collected(tmp_path, 1)
    assert len(parts_there(tmp_path)) == 3


def test_versions_of_before_a_purge_go_however_many_are_kept(tmp_path: Path) -> None:
    first, second, third = three(tmp_path)
    let_none_before_stay(tmp_path, third.id)
    with held(tmp_path, first.id):
        found = collected(tmp_path, 10)
        assert (found.versions, found.held, is_purging(tmp_path)) == ([second.id], [first.id], True)
    # The version that a rollback led to is served: it is not removed, and the purge is at its end.
    versions.activate(tmp_path, first.id)
    assert (collected(tmp_path, 10), is_purging(tmp_path)) == (Garbage(), False)
    (tmp_path / PURGE).write_text("third\n")
    with pytest.raises(InvalidInput, match="PURGE holds no number of a version: remove it"):
        collected(tmp_path, 10)


def test_no_number_is_given_twice(tmp_path: Path) -> None:
    first, _, third = three(tmp_path)
    versions.activate(tmp_path, first.id)
    collected(tmp_path, 1)
    about = versions.read(tmp_path, first.id)
    made = versions.commit(tmp_path, with_shards(about, about.shards, "add"))
    assert made.number == third.number + 1
    versions.activate(tmp_path, made.id)
    assert collected(tmp_path, 1).versions == [first.id, third.id]
