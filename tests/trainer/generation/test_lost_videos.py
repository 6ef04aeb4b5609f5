"""Which videos a build takes for lost."""

import dataclasses
from pathlib import Path

import pytest

from engine import versions
from engine.errors import InvalidInput
from tests.trainer.generation.built import ENCODER, FRAMES, collection
from tests.trainer.generation.test_before import built, corpus
from trainer.library.deleting import delete
from workers.feature_store.erasing import erase
from workers.feature_store.format import FORMERLY
from workers.feature_store.store import FeatureStore


def test_a_renamed_video_is_not_a_lost_one(tmp_path: Path) -> None:
    path = collection(tmp_path)
    built(path)
    with FeatureStore.open(path / "features" / ENCODER, "a") as store:
        for before, now in (("video 00", "a"), ("a", "b")):
            info = {FORMERLY: [*store.record(before).info.get(FORMERLY, []), before]}
            store.revise(before, uri="file:///b.mp4", info=info, rename=now)
    assert built(path).videos == len(FRAMES)


def test_a_corpus_file_of_before_does_not_take_what_was_added_since(tmp_path: Path) -> None:
    path = collection(tmp_path)
    videos = corpus(path, "video 01", "video 03")
    built(path, videos=videos)
    served = built(path, all_videos=True)
    version = versions.read(path, served.id)
    settings = {**version.settings, "videos": str(videos)}
    versions.activate(path, versions.commit(path, dataclasses.replace(version, settings=settings)).id)
    assert built(path).videos == 12
    assert built(path, videos=videos).videos == 2


def test_a_video_whose_deletion_was_rolled_back_is_built_again(tmp_path: Path) -> None:
    path = collection(tmp_path)
    first = built(path)
    delete(path, ["video 03", "video 05"])
    versions.activate(path, first.id)
    again = built(path)
    assert (again.id, again.videos) == (first.id, len(FRAMES))
    assert "2 deleted videos are served again, and indexed" in again.notes


def test_what_was_purged_or_taken_out_by_hand_stays_out(tmp_path: Path) -> None:
    path = collection(tmp_path)
    first = built(path)
    delete(path, ["video 03"])
    with FeatureStore.open(path / "features" / ENCODER, "a") as store:
        assert erase(store)
        store.forget("video 05")
    versions.activate(path, first.id)
    with pytest.raises(InvalidInput, match=r"2 of the 12 videos .* gone .video 03, video 05"):
        built(path)
    assert built(path, allow_fewer=True).videos == len(FRAMES) - 2
