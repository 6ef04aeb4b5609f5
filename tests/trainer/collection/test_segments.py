from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from engine.errors import InvalidInput
from tests import numeric
from tests.trainer.generation.built import ENCODER, FRAMES, collection, mean_pooled
from trainer.collection import segments
from trainer.collection.retrieval import Retrieval
from trainer.collection.segments import VideoRows, check_streams, deal, embed
from workers.feature_store.store import FeatureStore, Stream
from workers.ranker.projection.projector import MeanPool, Projector, ProjectorConfig
from workers.ranker.stores.features import FeatureMaps


def test_videos_are_dealt_evenly_and_alike_every_time() -> None:
    counts = np.random.default_rng(0).integers(1, 50, 200).astype(np.int32)
    dealt = deal(counts, 7)
    loads = np.bincount(dealt, counts, minlength=7)
    assert loads.max() - loads.min() <= counts.max()
    np.testing.assert_array_equal(dealt, deal(counts, 7))


def test_more_videos_than_shards_leave_no_shard_empty() -> None:
    assert set(deal(np.ones(5, np.int32), 5).tolist()) == set(range(5))


def test_the_last_segment_may_be_short(tmp_path: Path) -> None:
    store = FeatureStore.open(collection(tmp_path, {"a": 1, "b": 4, "c": 5}) / "features" / ENCODER)
    assert VideoRows.of_store(store, ["a", "b", "c"]).segment_counts(4).tolist() == [1, 1, 2]


def test_batches_of_any_size_make_the_same_vectors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FeatureStore.open(collection(tmp_path) / "features" / ENCODER)
    expected = np.stack(list(mean_pooled(tmp_path).values()))
    for batch in (1, 5, 1024):
        monkeypatch.setattr(segments, "BATCH", batch)
        blocks = list(embed(VideoRows.of_store(store, sorted(FRAMES)), MeanPool(), torch.device("cpu")))
        assert len(blocks) > 1 or batch == 1024
        numeric.close(np.concatenate(blocks), expected)


def test_without_a_projector_a_line_finds_the_segment_it_is_said_in(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    streams = {"frames": Stream(16, 1.0), "subtitles": Stream(16, 1.0)}
    lines = rng.standard_normal((10, 16)) + 1.0  # texts lie near to one another, and apart from pictures
    with FeatureStore.create(tmp_path / "s", streams, "float16") as store:
        for video, line in enumerate(lines):
            said = np.zeros((40, 16))
            said[20:24] = line
            rows = {"frames": rng.standard_normal((40, 16)) - 1.0, "subtitles": said}
            store.append(f"v{video}", rows, duration=40.0)
    ids, cpu = store.ids(), torch.device("cpu")
    built = np.concatenate(list(embed(VideoRows.of_store(store, ids), MeanPool(), cpu)))
    contexts = FeatureMaps.from_feature_store(store, ids)
    numeric.close(Retrieval.embed(VideoRows.of_contexts(contexts), MeanPool(), cpu).vectors, built)
    asked = lines / np.linalg.norm(lines, axis=1, keepdims=True)
    assert (asked @ built.T).argmax(axis=1).tolist() == [10 * video + 5 for video in range(10)]


@pytest.mark.parametrize("around", [0, 3])
@pytest.mark.parametrize("batch", [1, 1024])
def test_what_is_said_and_around_is_read_alike_by_build_and_mining(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, around: int, batch: int
) -> None:
    monkeypatch.setattr(segments, "BATCH", batch)
    rng = np.random.default_rng(0)
    streams = {"frames": Stream(8, 1.0), "subtitles": Stream(8, 1.0)}
    videos = {"a": (9, 9), "b": (4, 0), "c": (6, 3)}
    with FeatureStore.create(tmp_path / "s", streams, "float16") as store:
        for video, (seen, said) in videos.items():
            rows = {"frames": rng.standard_normal((seen, 8)), "subtitles": rng.standard_normal((said, 8))}
            store.append(video, rows, duration=float(seen))
    torch.manual_seed(0)
    config = ProjectorConfig(8, layers=1, heads=2, subtitles=True, around=around)
    projector = Projector(config).requires_grad_(False)
    expected = []
    for video, (seen, _) in videos.items():
        silence = np.zeros((seen - len(store.rows(video, "subtitles")), 8))
        heard = np.concatenate([store.rows(video, "subtitles"), silence])
        both = np.concatenate([store.rows(video, "frames"), heard], axis=1).astype(np.float32)
        for first in range(0, seen, 4):
            read = both[[min(max(first + row, 0), seen - 1) for row in range(-around, 4 + around)]]
            expected.append(normalize(projector.segments(torch.from_numpy(read[None])), dim=-1)[0])
    cpu = torch.device("cpu")
    built = np.concatenate(list(embed(VideoRows.of_store(store, list(videos)), projector, cpu)))
    numeric.close(built, torch.stack(expected))
    contexts = FeatureMaps.from_feature_store(store, list(videos))
    numeric.close(Retrieval.embed(VideoRows.of_contexts(contexts), projector, cpu).vectors, built)


@pytest.mark.parametrize("said", [{}, {"subtitles": Stream(9, 1.0)}, {"subtitles": Stream(8, 1.5)}])
def test_streams_that_do_not_fit_are_refused(tmp_path: Path, said: dict[str, Stream]) -> None:
    with FeatureStore.create(tmp_path / "s", {"frames": Stream(8, 1.0), **said}, "float16") as store:
        check_streams(store, ("frames",))
        with pytest.raises(
            InvalidInput, match=r"no stream 'subtitles' as wide .* --set model.subtitles=false"
        ):
            check_streams(store, ("frames", "subtitles"))


def test_a_video_has_the_same_vectors_whatever_is_embedded_with_it(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    dim = 64
    with FeatureStore.create(tmp_path / "s", {"frames": Stream(dim, 1.0)}, "float16") as store:
        # A matrix product of few rows sums in another order than one of many.
        for video, frames in {"a": 6, "b": 52, "c": 600}.items():
            store.append(video, {"frames": rng.standard_normal((frames, dim))}, duration=float(frames))
    torch.manual_seed(0)
    projector = Projector(ProjectorConfig(dim, layers=1, heads=4)).requires_grad_(False)

    def vectors(*ids: str) -> np.ndarray:
        return np.concatenate(list(embed(VideoRows.of_store(store, ids), projector, torch.device("cpu"))))

    alone = [vectors(video) for video in "abc"]
    np.testing.assert_array_equal(vectors("a", "b", "c"), np.concatenate(alone))
    before = torch.get_num_threads()
    torch.set_num_threads(before % 2 + 1)
    try:
        np.testing.assert_array_equal(vectors("c"), alone[2])
    finally:
        torch.set_num_threads(before)
