"""Purges with real builds: what is left on the disk, of which versions, and for how long."""

from pathlib import Path

import numpy as np
import pytest

from engine import version_lock, versions
from engine.corpus import open_corpus
from engine.errors import NotFound
from spr.v1.admin_service_pb2 import DeleteVideos, SubmitJobRequest
from tests.trainer.library import living
from tests.trainer.library.living import Content, collection, copied, ingested, parts_of, store
from trainer.ingest import kept, transcripts
from trainer.library.adding import add
from trainer.library.compacting import compact
from trainer.library.deleting import delete
from trainer.library.kits import Kits
from trainer.library.purging import purge
from trainer.library.restore import restore
from trainer.library.roots import Roots
from trainer.library.snapshot import snapshot
from trainer.library.tasks import Task
from trainer.library.work import Work

VIDEOS: dict[str, Content] = {f"v{number:02d}": (number % 5, 5 + number) for number in range(6)}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return collection(tmp_path_factory.mktemp("built") / "c", VIDEOS)


@pytest.fixture
def path(built: Path, tmp_path: Path) -> Path:
    return copied(built, tmp_path / "c")


def test_a_purge_leaves_no_row_in_any_part_nor_in_the_feature_store(path: Path) -> None:
    spans = {video: store(path, "r").record(video).streams["frames"] for video in VIDEOS}
    delete(path, ["v01", "v02"])
    _, garbage = purge(path)
    assert not garbage.held
    rows = np.fromfile(store(path, "r").path / "frames.bin", np.float16).reshape(-1, living.DIM)
    erased = [video for video, (first, count) in spans.items() if not rows[first : first + count].any()]
    assert erased == ["v01", "v02"]
    assert all(store(path, "r").sound(video) for video in VIDEOS if video not in ("v01", "v02"))
    corpus = open_corpus(path)
    assert not any(part.deleted for part in corpus.version.parts)
    assert versions.numbers(path) == [corpus.version.number]
    listed = {part.id for part in corpus.version.parts}
    assert {found.name for found in (path / "parts").iterdir()} == listed


def test_what_was_deleted_before_can_be_purged(path: Path) -> None:
    delete(path, ["v01"])
    with pytest.raises(NotFound, match="nothing was deleted"):
        delete(path, ["v01"])
    with pytest.raises(NotFound, match="nothing was deleted"):
        delete(path, ["v01", "nothing"], purging=True)
    # Also where a purge was killed, and again after it.
    for _ in range(2):
        assert delete(path, ["v01"], purging=True).videos == ("v01",)
        purge(path)
        assert len(versions.numbers(path)) == 1
    assert not any(part.deleted for part in open_corpus(path).version.parts)


def test_a_purge_takes_the_versions_that_a_rollback_left_too(path: Path) -> None:
    before = versions.current(path)
    ingested(path, {"w": (1, 9)})
    after = add(path, ["w"], Kits("cpu")).version
    versions.activate(path, before)
    delete(path, ["w"], purging=True)
    with version_lock.held(path, after):
        change, garbage = purge(path)
    assert garbage.held == [after]
    assert Work(Kits("cpu"), 10, Roots(None)).collect(path) is False
    assert versions.numbers(path) == [3]
    assert change.version == versions.current(path)
    assert "w" not in living.living(path)


def test_a_version_that_is_held_stays_until_it_is_dropped(path: Path) -> None:
    work = Work(Kits("cpu"), 10, Roots(None))
    request = SubmitJobRequest(delete=DeleteVideos(video_ids=["v01"], purge=True))
    with version_lock.held(path, versions.current(path)):
        (outcome,) = work.do(path, [Task(1, "a", "delete", request)], lambda _: None)
        assert not outcome.error
        assert work.collect(path), "it is tried again"
        assert 1 in versions.numbers(path)
    # By a process that was started since, too.
    assert not Work(Kits("cpu"), 10, Roots(None)).collect(path)
    assert 1 not in versions.numbers(path)
    # What comes later is kept again.
    delete(path, ["v02"])
    assert not work.collect(path)
    assert len(versions.numbers(path)) == 2


def test_a_collection_of_nothing_can_be_added_to(path: Path) -> None:
    delete(path, list(VIDEOS))
    purge(path)
    assert living.living(path) == []
    ingested(path, {"a": (1, 9)})
    add(path, ["a"], Kits("cpu"))
    assert living.living(path) == ["a"]
    compact(path)
    assert parts_of(path) == {"shard-00000": 1, "shard-00001": 0}


def test_what_a_snapshot_has_of_videos_that_were_purged_since_stays_there(path: Path, tmp_path: Path) -> None:
    contents = [store(path, "r").record(video).sha256 for video in ("v01", "v02")]
    for folder in (transcripts.DIRECTORY, transcripts.SCREENS):
        (path / folder).mkdir()
        for content in contents:
            (path / folder / f"{content}.vtt").write_text("WEBVTT\n")
    for folder, _, suffix in kept.KINDS:
        (path / folder).mkdir()
        (path / folder / f"{contents[0]}{suffix}").write_text("of another")
    snapshot(path, str(tmp_path / "backup"))
    delete(path, ["v01"])
    purge(path)
    snapshot(path, str(tmp_path / "backup"))
    for restored in (path, tmp_path / "new"):
        restore(restored, str(tmp_path / "backup"))
        left = sorted(file.name for kind in ("transcripts", "screen") for file in (restored / kind).iterdir())
        assert left == [f"{contents[1]}.vtt"] * 2
        assert not [file for kind, _, _ in kept.KINDS for file in (restored / kind).glob("*")]
