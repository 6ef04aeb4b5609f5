import numpy as np
import pytest

from engine.types import Floats
from tests import numeric
from workers.ranker.scoring import compare as module
from workers.ranker.scoring.compare import compare
from workers.ranker.stores.features import FRAMES, SUBTITLES, FeatureMaps, FeatureStream

DIM = 4


def features(frames: Floats, subtitles: Floats, first: int = 3) -> FeatureMaps:
    """Two videos, of which the second has what is given."""
    counts = [first, len(frames)]
    before = np.ones((first, DIM), np.float32)
    streams = {
        FRAMES: FeatureStream.of(np.concatenate([before, frames]), counts, 1.0),
        SUBTITLES: FeatureStream.of(
            np.concatenate([before[:, : subtitles.shape[1]], subtitles]), counts, 1.0
        ),
    }
    return FeatureMaps(streams, np.array(counts, np.float64))


def test_each_second_has_its_cosine() -> None:
    random = np.random.default_rng(0)
    frames = random.normal(size=(7, DIM)).astype(np.float32)
    spoken = frames[::-1].copy()
    spoken[2] = 0
    text = random.normal(size=DIM).astype(np.float32)
    found = compare(text, features(frames, spoken), 1)
    wanted = frames @ text / np.linalg.norm(frames, axis=1) / np.linalg.norm(text)
    numeric.close(found.frames, wanted)
    assert found.subtitles[2] == 0
    numeric.close(found.subtitles[3:], wanted[::-1][3:])
    assert found.step == 1.0


def test_a_longer_video_tells_the_largest_of_several(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 3)
    frames = np.zeros((8, DIM), np.float32)
    frames[:, 1] = 1.0
    frames[5] = np.eye(DIM, dtype=np.float32)[0]
    found = compare(np.eye(DIM, dtype=np.float32)[0], features(frames, frames), 1)
    assert (found.step, found.frames.tolist()) == (3.0, [0.0, 1.0, 0.0])


def test_features_of_another_width_have_no_curve() -> None:
    frames = np.ones((5, DIM), np.float32)
    found = compare(np.ones(DIM, np.float32), features(frames, frames[:, :2]), 1)
    assert len(found.frames) == 5
    assert len(found.subtitles) == 0
