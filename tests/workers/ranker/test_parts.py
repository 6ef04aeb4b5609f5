"""The same videos give the same answers, bit by bit, in however many parts they lie."""

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from engine.types import Proposals, RankQuery
from tests.workers.ranker.factories import TEXTS, Tiny, tiny
from workers.ranker.models import Models
from workers.ranker.scoring.relo_ranker import ReloRanker
from workers.ranker.stores.joined import JoinedRows

LENGTHS = np.random.default_rng(5).integers(1, 120, 20)
VIDEOS = {f"v{number:02d}": int(seconds) for number, seconds in enumerate(LENGTHS)}
GONE = [video for number, video in enumerate(VIDEOS) if number % 4 == 1]
COUNT = 20  # proposals of a query
LIVING = [video for video in VIDEOS if video not in GONE]


def queries(models: Models) -> list[RankQuery]:
    rng = np.random.default_rng(1)
    asked = []
    for encoded in models.encode(TEXTS):
        videos = rng.integers(0, len(LIVING), COUNT).astype(np.int32)
        durations = models.features.durations[videos]
        starts = rng.random(COUNT) * durations * 0.8
        spans = np.stack([starts, np.minimum(starts + 1 + 6 * rng.random(COUNT), durations)], axis=1)
        spans[:, 0] = np.minimum(spans[:, 0], spans[:, 1] - 0.1)
        scores = rng.normal(size=COUNT).astype(np.float32)
        asked.append(
            RankQuery.of(encoded, Proposals(videos, spans, np.arange(COUNT, dtype=np.int32), scores))
        )
    return asked


def split(made: Tiny, count: int) -> str:
    """Deal all videos to parts in any order, over two shards, and delete those that are gone."""
    order = np.random.default_rng(count).permutation(list(VIDEOS))
    listed = [made.part(chosen.tolist()) for chosen in np.array_split(order, count)]
    return made.version(listed[::2], listed[1::2], deleted=GONE)


@pytest.mark.parametrize(
    ("trained", "contexts"), [(True, "float16"), (True, "int8"), (True, ""), (False, "")]
)
def test_answers_do_not_depend_on_parts(tmp_path: Path, trained: bool, contexts: str) -> None:
    made = tiny(tmp_path / "collection", trained=trained, contexts=contexts, videos=VIDEOS)
    whole = Models.open(made.directory, made.version([made.part(LIVING)]), "cpu")
    assert not isinstance(whole.features.rows("frames"), JoinedRows)
    asked = queries(whole)
    wanted = whole.ranker.rank_many(asked, whole.features)
    for count in (1, 5):
        models = Models.open(made.directory, split(made, count), "cpu")
        assert isinstance(models.features.rows("frames"), JoinedRows) == (count > 1)
        assert models.corpus.catalogue.ids == LIVING
        np.testing.assert_array_equal(models.features.durations, whole.features.durations)
        found = models.ranker.rank_many(asked, models.features)
        for one, other in zip(found, wanted, strict=True):
            for column in fields(one):
                np.testing.assert_array_equal(getattr(one, column.name), getattr(other, column.name))
        for video in range(len(LIVING)):
            for stream in models.features.streams:
                rows = models.features.video(video, stream)
                np.testing.assert_array_equal(rows, whole.features.video(video, stream))
        if contexts:
            assert isinstance(models.ranker, ReloRanker)
            assert models.ranker.stored is not None
            models.ranker.stored.read_with_torch()
            assert isinstance(whole.ranker, ReloRanker)
            assert whole.ranker.stored is not None
            whole.ranker.stored.read_with_torch()
            in_torch = [one.ranker.rank_many(asked, one.features) for one in (models, whole)]
            for one, other in zip(*in_torch, strict=True):
                np.testing.assert_array_equal(one.scores, other.scores)
                np.testing.assert_array_equal(one.spans, other.spans)


def test_threads_share_the_windows_of_several_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from workers.ranker.scoring import kernel

    monkeypatch.setattr(kernel, "FEW_CLIPS", 10)
    made = tiny(tmp_path / "collection", trained=True, contexts="float16", videos=VIDEOS)
    models = Models.open(made.directory, split(made, 5), "cpu")
    assert isinstance(models.ranker, ReloRanker)
    assert models.ranker.stored is not None
    asked, found = queries(models), []
    for threads in (1, 5):
        models.ranker.use_stored(models.ranker.stored.store, models.features, threads)
        found.append(models.ranker.rank_many(asked, models.features))
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one.scores, other.scores)
        np.testing.assert_array_equal(one.spans, other.spans)
