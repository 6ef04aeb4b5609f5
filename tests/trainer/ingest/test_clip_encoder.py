"""A clip encoder beside the encoder of frames: it reads each four rows of the grid, once."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.trainer.ingest.factories import regular, write_video
from tests.trainer.ingest.levels import OPTIONS, Levels, run
from trainer.ingest.features import encode_clips
from trainer.ingest.summary import Interrupted
from workers.feature_store.store import FeatureStore


class Moves:
    """Clips to the levels of their first and last frame, and how many there are."""

    name = "moves"
    fingerprint = "fedcba9876543210"
    dim = 3

    def __init__(self, stops_after: int = 1000) -> None:
        self.read: list[tuple[int, ...]] = []
        self._left = stops_after

    def clips(self, clips: NDArray[np.uint8]) -> NDArray[np.float32]:
        self._left -= 1
        if self._left < 0:
            raise KeyboardInterrupt
        self.read.append(clips.shape[:2])
        levels = clips.mean((2, 3, 4))
        counts = np.full(len(clips), clips.shape[1])
        return np.stack([levels[:, 0], levels[:, -1], counts], axis=1).astype(np.float32)


def store(root: Path) -> FeatureStore:
    return FeatureStore.open(root / "c" / "features" / f"{Levels.fingerprint}-{Moves.fingerprint}")


def test_a_row_is_of_the_frames_of_its_four_seconds(tmp_path: Path, videos: Path) -> None:
    clips = Moves()
    summary = run(tmp_path, options=replace(OPTIONS, clips=clips))
    assert (summary.ingested, summary.clip_fingerprint) == (3, Moves.fingerprint)
    found = store(tmp_path)
    assert (found.streams["clips"].dim, found.streams["clips"].step) == (3, 4.0)
    # A picture that is shown for three seconds counts thrice.
    for video in found.ids():
        levels = np.asarray(found.rows(video, "frames"), np.float32)[:, :3].mean(axis=1)
        cut = [levels[start : start + 4] for start in range(0, len(levels), 4)]
        wanted = [(part[0], part[-1], len(part)) for part in cut]
        assert np.abs(found.rows(video, "clips") - np.array(wanted)).max() < 0.2
    assert run(tmp_path, options=replace(OPTIONS, clips=Moves())).skipped == 3


def test_what_was_encoded_is_not_encoded_again(tmp_path: Path) -> None:
    write_video(tmp_path / "videos" / "long.mp4", regular(60, 4), rate=4)
    with pytest.raises(Interrupted):
        run(tmp_path, options=replace(OPTIONS, clips=Moves(stops_after=3)))
    clips = Moves()
    assert run(tmp_path, options=replace(OPTIONS, clips=clips)).ingested == 1
    # Fifteen segments, two a batch; three batches were there.
    assert clips.read == [(2, 4)] * 4 + [(1, 4)]
    rows = np.array(store(tmp_path).rows("long", "clips"))
    whole = tmp_path / "whole"
    run(whole, tmp_path / "videos", options=replace(OPTIONS, clips=Moves()))
    np.testing.assert_array_equal(rows, store(whole).rows("long", "clips"))


def test_what_stands_still_is_read_once_and_another_size_is_left_out() -> None:
    small, large = np.zeros((4, 6, 3), np.uint8), np.full((8, 6, 3), 9, np.uint8)
    clips = Moves()
    rows = encode_clips(clips, [(small,) * 4, (small,) * 4, (large,) * 4, (small, small, large, large)])
    assert sorted(clips.read) == [(1, 2), (1, 4), (1, 4)]
    np.testing.assert_array_equal(rows, [(0, 0, 4), (0, 0, 4), (9, 9, 4), (0, 0, 2)])
    assert encode_clips(clips, []).shape == (0, 3)
