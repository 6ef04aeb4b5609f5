import dataclasses
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engine.errors import Mismatch
from engine.types import Doubles, Ordinals, RankQuery
from tests import numeric
from tests.workers.ranker.contexts import random_store
from tests.workers.ranker.queries import of_tokens, rank
from tests.workers.ranker.scoring.test_relo_ranker import random_contexts
from workers.ranker.model.local import make_model
from workers.ranker.model.relo import ReloConfig
from workers.ranker.model.whole import encode_videos, pieces
from workers.ranker.model.windows import WindowConfig, batches, cut, proposal_clips
from workers.ranker.scoring.decode import DecodeConfig
from workers.ranker.scoring.relo_ranker import ReloRanker
from workers.ranker.scoring.stored import StoredScorer, check_fit
from workers.ranker.stores.contexts import EncodedStore, encoded_in_memory, write_encoded
from workers.ranker.stores.features import FeatureMaps, FeatureStream

DECODE = DecodeConfig(min_span=1)
LENGTHS = [30, 3, 0, 200, 700]
VIDEOS = np.array([0, 3, 1, 2, 3, 4, 4], np.int32)
SPANS = np.array([[4.0, 8], [100, 140], [0, 3], [0, 4], [40, 44], [250, 262], [0, 12]])


def ranker_of(kind: Any = "attention", **changes: Any) -> ReloRanker:
    torch.manual_seed(0)
    window = WindowConfig(clip_length=1.0, **changes)
    sizes = {"visual_dim": 6, "subtitle_dim": 5, "query_dim": 4, "hidden": 8, "heads": 2, "kernels": (3, 5)}
    config = ReloConfig(**sizes, window=window, context_encoder=kind, reach=4, bias_reach=3)  # type: ignore[arg-type]
    model = make_model(config)
    with torch.no_grad():
        for table in model.bias or ():
            table.normal_()
    return ReloRanker(model, DECODE, name="relo@abc")


def stored(folder: Path, ranker: ReloRanker, contexts: FeatureMaps, dtype: Any = "float16") -> EncodedStore:
    videos = encode_videos(ranker.model, contexts, torch.device("cpu"))
    write_encoded(folder / "encoded", 8, 1.0, dtype, videos, "abc")
    return EncodedStore.open(folder)


def request(seed: int, videos: Ordinals = VIDEOS, spans: Doubles = SPANS) -> RankQuery:
    rng = np.random.default_rng(seed)
    tokens = rng.normal(size=(4 + seed, 4)).astype(np.float32)
    return of_tokens(tokens, videos, spans, np.arange(len(videos), dtype=np.float32))


@pytest.mark.parametrize("halo", [0, 6])
@pytest.mark.parametrize("clips", [0, 1, 8, 9, 100, 700])
def test_pieces_keep_every_clip_once_with_its_neighbours(clips: int, halo: int) -> None:
    places = pieces(clips, WindowConfig(max_clips=8), halo)
    kept = [clip for _, _, begin, end in places.tolist() for clip in range(begin, end)]
    assert kept == list(range(clips))
    for first, last, begin, end in places.tolist():
        assert 0 <= first <= begin < end <= last <= clips
        if halo:
            assert first == max(0, begin - halo)
            assert last == min(clips, end + halo)
        else:
            assert last - first == min(clips, 8)
            assert first == 0 or begin - first >= 2
            assert last == clips or last - end >= 2


def test_local_contexts_are_the_same_stored_and_online(tmp_path: Path) -> None:
    ranker, contexts = ranker_of("conv"), random_contexts(LENGTHS)
    _, online = ranker.examine([request(0)], contexts)
    ranker.use_stored(stored(tmp_path, ranker, contexts), contexts, 1)
    _, found = ranker.examine([request(0)], contexts)
    for column in fields(found):
        numeric.close(getattr(found, column.name), getattr(online, column.name), 0.02, scale=1)


def test_a_videos_contexts_do_not_depend_on_what_is_encoded_with_it() -> None:
    contexts, device = random_contexts(LENGTHS), torch.device("cpu")
    for kind in ("attention", "conv"):
        model = ranker_of(kind).model
        for video, made in enumerate(encode_videos(model, contexts, device)):
            streams = {
                name: FeatureStream.of(contexts.video(video, name), [LENGTHS[video]], 1.0)
                for name in contexts.streams
            }
            alone = FeatureMaps(streams, contexts.durations[video : video + 1])
            (wanted,) = encode_videos(model, alone, device)
            np.testing.assert_array_equal(made[0], wanted[0])
            np.testing.assert_array_equal(made[1], wanted[1])


def test_contexts_in_memory_are_those_on_disk(tmp_path: Path) -> None:
    ranker, contexts = ranker_of("conv"), random_contexts(LENGTHS)
    kept = encoded_in_memory(8, 1.0, encode_videos(ranker.model, contexts, torch.device("cpu")))
    for one, other in zip(kept.arrays(), stored(tmp_path, ranker, contexts).arrays(), strict=True):
        np.testing.assert_array_equal(one, other)
        assert one.dtype == other.dtype
    np.testing.assert_array_equal(kept.starts, EncodedStore.open(tmp_path).starts)
    np.testing.assert_array_equal(kept.clips, EncodedStore.open(tmp_path).clips)


@pytest.mark.parametrize("dtype", ["float16", "int8", "int5"])
def test_a_window_that_is_the_whole_video_is_the_same_stored_and_online(tmp_path: Path, dtype: Any) -> None:
    ranker, contexts = ranker_of(context=200.0), random_contexts([30, 3, 0, 128])
    asked = request(0, VIDEOS[:5], np.minimum(SPANS[:5], 100.0) + np.array([[0.0, 2.0]]))
    online = ranker.rank_many([asked], contexts)[0]
    ranker.use_stored(stored(tmp_path, ranker, contexts, dtype), contexts, 1)
    found = ranker.rank_many([asked], contexts)[0]
    np.testing.assert_array_equal(found.refined, online.refined)
    numeric.close(found.relevances, online.relevances, 0.02, scale=1)
    if dtype == "float16":
        np.testing.assert_array_equal(found.spans, online.spans)


def test_queries_ranked_together_are_answered_as_alone(tmp_path: Path) -> None:
    ranker, contexts = ranker_of(), random_contexts(LENGTHS)
    asked = [request(0), request(1, VIDEOS[:0], SPANS[:0]), request(2), request(0, VIDEOS[:3], SPANS[:3])]
    for store in (None, stored(tmp_path, ranker, contexts)):
        if store is not None:
            ranker.use_stored(store, contexts, 2)
        together = ranker.rank_many(asked, contexts)
        assert [len(columns) for columns in together] == [7, 0, 7, 3]
        for one, columns in zip(asked, together, strict=True):
            alone = rank(ranker, one, contexts)
            np.testing.assert_array_equal(alone.spans, columns.spans)
            numeric.close(alone.scores, columns.scores)
    assert ranker.rank_many([], contexts) == []


def test_long_windows_are_pooled_online_and_whole_when_stored(tmp_path: Path) -> None:
    ranker, contexts = ranker_of(max_clips=16), random_contexts([60])
    asked = request(0, np.zeros(1, np.int32), np.array([[10.0, 50.0]]))
    windows, _ = ranker.examine([asked], contexts)
    assert (windows.lengths[0], windows.steps[0]) == (16, 56 / 16)
    ranker.use_stored(stored(tmp_path, ranker, contexts), contexts, 1)
    windows, found = ranker.examine([asked], contexts)
    assert (windows.lengths[0], windows.steps[0]) == (56, 1.0)
    answer = ranker.rank_many([asked], contexts)[0]
    assert answer.spans[0].tolist() == [2.0 + found.start[0], 3.0 + found.end[0]]


def test_the_readable_path_is_the_kernels(tmp_path: Path) -> None:
    ranker, contexts = ranker_of(), random_contexts(LENGTHS)
    ranker.use_stored(stored(tmp_path, ranker, contexts, "int8"), contexts, 1)
    _, kernel = ranker.examine([request(0), request(1)], contexts)
    assert isinstance(ranker.stored, StoredScorer)
    ranker.stored.read_with_torch()
    _, readable = ranker.examine([request(0), request(1)], contexts)
    for column in fields(kernel):
        numeric.close(getattr(kernel, column.name), getattr(readable, column.name))


def test_videos_without_stored_contexts_are_encoded_online(tmp_path: Path) -> None:
    ranker, contexts = ranker_of("conv"), random_contexts(LENGTHS)
    online = ranker.rank_many([request(0)], contexts)[0]
    # As if the last two videos had come without features.
    streams = {
        name: dataclasses.replace(stream, counts=np.where(np.arange(5) < 3, stream.counts, 0))
        for name, stream in contexts.streams.items()
    }
    shorter = FeatureMaps(streams, contexts.durations)
    ranker.use_stored(stored(tmp_path, ranker, shorter), contexts, 1)
    assert ranker.stored is not None
    assert ranker.stored.store.clips.tolist() == [30, 3, 0, 0, 0]
    found = ranker.rank_many([request(0)], contexts)[0]
    np.testing.assert_array_equal(found.spans, online.spans)
    numeric.close(found.relevances, online.relevances, 2e-3, scale=1)


def test_contexts_of_another_ranker_or_shape_are_refused(tmp_path: Path) -> None:
    ranker, contexts = ranker_of(), random_contexts(LENGTHS)
    store = stored(tmp_path, ranker, contexts)
    with pytest.raises(Mismatch, match="of ranker other"):
        ranker.use_stored(dataclasses.replace(store, ranker="other"), contexts)
    for wrong in ({"hidden": 9}, {"step": 1.5}, {"starts": store.starts[:-1]}):
        with pytest.raises(Mismatch, match="spr build"):
            ranker.use_stored(dataclasses.replace(store, **wrong), contexts)
    assert ranker.stored is None
    assert random_store(tmp_path / "more", "int8", [2], 8).ranker == "abc"


def test_the_same_sentence_is_encoded_once() -> None:
    ranker, contexts = ranker_of(), random_contexts(LENGTHS)
    first = ranker.rank_many([request(0)], contexts)[0]
    with torch.no_grad():
        for parameter in ranker.model.query_encoder.parameters():
            parameter.zero_()
    np.testing.assert_array_equal(ranker.rank_many([request(0)], contexts)[0].scores, first.scores)
    assert (ranker.rank_many([request(1)], contexts)[0].scores != first.scores).any()


def test_places_of_proposals() -> None:
    contexts = random_contexts([30, 0])
    spans = np.array([[10.0, 14.0], [10.5, 14.1], [0.0, 2.0], [28.0, 40.0], [0.0, 4.0]])
    windows = cut(np.array([0, 0, 0, 0, 1], np.int32), spans, contexts, WindowConfig(clip_length=1.0))
    assert proposal_clips(windows, spans).tolist() == [[8, 11], [8, 12], [0, 1], [8, 9], [0, 0]]
    assert [len(part) for part in batches(np.array([4, 4, 4, 4]), 8)] == [2, 2]


def test_contexts_of_one_video_fewer_are_refused_also_among_many() -> None:
    ranker, videos = ranker_of(), 200_000
    store = dataclasses.replace(encoded_in_memory(8, 1.0, []), starts=np.zeros(videos - 1, np.int64))
    features = FeatureMaps({}, np.zeros(videos))
    with pytest.raises(Mismatch, match=r"199999.*200000"):
        check_fit(store, ranker.model, features)
