"""A feature store of several parts is built, deleted from, verified and restored as one of one part."""

import shutil
from pathlib import Path

import pytest

from engine import versions
from engine.corpus import open_corpus
from tests.trainer.generation.built import ENCODER, FRAMES, collection
from trainer.generation.build import BuildConfig, build
from trainer.generation.garbage import collect_garbage
from trainer.library.deleting import delete
from trainer.library.purging import purge
from trainer.library.restore import restore
from trainer.library.snapshot import snapshot
from trainer.library.verify import verify
from workers.feature_store.store import FeatureStore

GONE = "video 05"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = collection(tmp_path / "c", writers=4)
    build(BuildConfig(collection=path, shards=2))
    return path


def parts_of(path: Path) -> list[str]:
    return [part.id for part in versions.read(path).parts]


def store(path: Path) -> FeatureStore:
    return FeatureStore.open(path / "features" / ENCODER)


def test_the_same_parts_are_built(path: Path, tmp_path: Path) -> None:
    build(BuildConfig(collection=collection(tmp_path / "one"), shards=2))
    assert parts_of(path) == parts_of(tmp_path / "one")
    assert len(store(path).parts) == 4


def test_a_video_of_a_part_is_deleted_brought_back_and_purged(path: Path) -> None:
    before = versions.current(path)
    assert store(path).part_of(GONE) == 1
    delete(path, [GONE])
    assert store(path).ids() == open_corpus(path).catalogue.ids == sorted(set(FRAMES) - {GONE})
    versions.activate(path, before)
    build(BuildConfig(collection=path))
    assert store(path).ids() == open_corpus(path).catalogue.ids == sorted(FRAMES)
    delete(path, [GONE])
    purge(path)
    rows = (path / "features" / ENCODER / "parts" / "1" / "frames.bin").read_bytes()
    first = store(path).parts[1].record("video 01").streams["frames"][1]
    assert not any(rows[first * 32 : (first + FRAMES[GONE]) * 32])
    assert all(store(path).sound(video) for video in store(path).ids())


def test_it_is_verified_kept_by_gc_and_restored(path: Path, tmp_path: Path) -> None:
    collect_garbage(path, 1)
    assert verify(path) == []
    snapshot(path, str(tmp_path / "backup"))
    rows = path / "features" / ENCODER / "parts" / "3" / "frames.bin"
    rows.write_bytes(b"\xff" + rows.read_bytes()[1:])
    (damage,) = verify(path)
    assert damage.startswith("the rows of 'video 03'")
    shutil.rmtree(path)
    restore(path, str(tmp_path / "backup"))
    assert (store(path).ids(), verify(path)) == (sorted(FRAMES), [])
