import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from engine.errors import InvalidInput, NotFound
from spr_cli.corpus_synthesize_features import command
from trainer.collection.annotations import load_corpus, load_queries
from trainer.collection.places import features_directory
from trainer.evaluation.offline import Offline, search_offline
from trainer.evaluation.report import report
from trainer.formats.durations import SECONDS, SEGMENTS, VIDEOS, lengths
from trainer.formats.synthetic import Space, synthesize
from trainer.generation.build import BuildConfig, build
from workers.feature_store.store import FeatureStore


def test_the_drawn_corpus_has_the_published_totals() -> None:
    made = lengths(None, 1.0, 0)
    assert (len(made.names), made.segments) == (VIDEOS, SEGMENTS)
    assert made.seconds.sum() == pytest.approx(SECONDS, abs=0.01)
    assert np.abs(made.frames - np.ceil(made.seconds)).max() <= 1
    assert made.names == sorted(made.names)
    other = lengths(None, 1.0, 1)
    assert (other.seconds != made.seconds).any()
    assert np.sort(other.seconds).tolist() == np.sort(made.seconds).tolist()


def test_real_durations_are_kept(tmp_path: Path) -> None:
    given = {"b": [60.03, 7], "a": [12.5, 3], "c": [90.0, 9]}
    (tmp_path / "d.json").write_text(json.dumps(given))
    made = lengths(tmp_path / "d.json", 1.0, 0)
    assert (made.names, made.seconds.tolist()) == (["a", "b", "c"], [12.5, 60.03, 90.0])
    assert made.frames.tolist() == [13, 61, 90]
    (tmp_path / "d.json").write_text(json.dumps({name: seconds for name, (seconds, _) in given.items()}))
    assert len(lengths(tmp_path / "d.json", 0.5, 0).names) == 2
    for bad in ("[]", '{"a": 0}', '{"a": "x"}', "{}"):
        (tmp_path / "d.json").write_text(bad)
        with pytest.raises(InvalidInput, match=r"is not \{video: seconds\}"):
            lengths(tmp_path / "d.json", 1.0, 0)
    with pytest.raises(NotFound):
        lengths(tmp_path / "none.json", 1.0, 0)
    with pytest.raises(InvalidInput, match="--scale 2"):
        lengths(None, 2, 0)


def test_features_are_clustered_with_a_falling_spectrum() -> None:
    space = Space.of(0, 64)
    spread = np.sort(np.linalg.eigvalsh(np.cov(space.noise(np.random.default_rng(0), 20000).T)))[::-1]
    slope = np.polyfit(np.log(np.arange(1, 65)), np.log(spread), 1)[0]
    assert slope == pytest.approx(-1, abs=0.1)
    frames = space.video(3, 90)
    starts, _ = space.scenes(3, 90)
    assert starts[0] == 0
    assert 8 <= len(starts) <= 30
    unit = frames / np.linalg.norm(frames, axis=1, keepdims=True)
    scene = np.searchsorted(starts, np.arange(90), side="right")
    cosines, same = unit @ unit.T, scene[:, None] == scene[None, :]
    assert cosines[same].mean() > cosines[~same].mean() + 0.2
    np.testing.assert_array_equal(frames, Space.of(0, 64).video(3, 90))


def test_it_goes_on_where_it_stopped_and_is_the_same(tmp_path: Path) -> None:
    made = lengths(None, 0.001, 5)
    whole = synthesize(tmp_path / "a", made, dim=16, seed=5, queries=4)
    synthesize(tmp_path / "b", made, dim=16, seed=5, queries=4)
    one, other = (features_directory(tmp_path / name) for name in "ab")
    with FeatureStore.open(other, "a") as store:
        for video in store.ids()[7:]:
            store.forget(video)
    again = synthesize(tmp_path / "b", made, dim=16, seed=5, queries=4)
    assert (whole.videos, whole.new_videos, again.new_videos) == (20, 20, 13)
    assert (whole.replaced, again.replaced) == ([], ["test"])
    expected, resumed = FeatureStore.open(one), FeatureStore.open(other)
    assert resumed.ids() == expected.ids()
    for video in expected.ids():
        np.testing.assert_array_equal(resumed.rows(video, "frames"), expected.rows(video, "frames"))
        assert resumed.record(video).duration == expected.record(video).duration
    assert (tmp_path / "a/annotations/test.json").read_bytes() == (
        tmp_path / "b/annotations/test.json"
    ).read_bytes()


def test_it_is_built_and_evaluated_as_any_other(tmp_path: Path) -> None:
    result = CliRunner().invoke(
        command, [str(tmp_path / "c"), "--scale", "0.003", "--dim", "32", "--queries", "30", "--json"]
    )
    assert result.exit_code == 0, result.output
    made = json.loads(result.stdout)
    assert (made["videos"], made["queries"]) == (59, 30)
    store = FeatureStore.open(features_directory(tmp_path / "c"))
    assert store.dtype == np.float16
    assert load_corpus(tmp_path / "c/annotations/corpus_test.json").keys() == set(store.ids())
    built = build(BuildConfig(collection=tmp_path / "c", device="cpu"))
    assert built.segments == made["segments"]
    queries = load_queries(tmp_path / "c/annotations/test.json")
    figures = report(search_offline(Offline.open(tmp_path / "c", device="cpu"), queries), queries).to_json()
    assert figures["retrieval"]["VideoRecall"] > 0.9
    assert figures["coarse"]["NDCG@10,IoU>=0.3"] > 10 * figures["chance"]["NDCG@10,IoU>=0.3"]
