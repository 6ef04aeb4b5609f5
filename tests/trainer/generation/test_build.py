import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from engine import manifest
from engine.catalogue import Catalogue
from engine.config import Topology
from engine.errors import InvalidInput, NotFound, Unavailable
from engine.files import sha256
from engine.holding import held
from spr_cli.main import cli
from tests import numeric
from tests.trainer.generation.built import DIM, ENCODER, FRAMES, collection, killed_build, mean_pooled
from tests.trainer.generation.searching import search
from tests.workers.index.factories import pairs
from trainer.generation.build import BuildConfig, build
from trainer.generation.staging import only_builder
from workers.feature_store.store import FeatureStore
from workers.index.shard import IndexShard
from workers.ranker.stores.features import ContextStore


def test_a_generation_holds_every_segment_once(tmp_path: Path) -> None:
    report = build(BuildConfig(collection=collection(tmp_path), shards=3))
    generation = manifest.current(tmp_path)
    about = manifest.read(generation)
    manifest.verify(generation, about)
    assert (about.id, about.collection) == (report.id, "tiny")
    assert (about.videos, about.segments, about.dim) == (12, sum(-(-n // 4) for n in FRAMES.values()), DIM)
    assert sum(shard.segments for shard in about.shards) == about.segments
    assert about.embedding_model == f"{ENCODER}/mean-pool"
    assert report.search is not None
    assert (about.factory, about.segment_length, report.search.recall) == ("Flat", 4.0, 1.0)
    catalogue = Catalogue.open(generation)
    assert catalogue.ids == sorted(FRAMES)
    assert catalogue.durations.tolist() == [FRAMES[video] - 0.5 for video in catalogue.ids]
    found: dict[tuple[int, int], int] = {}
    for number, entry in enumerate(about.shards):
        shard = IndexShard.open(generation / entry.name)
        assert set(shard.videos.tolist()) == set(np.flatnonzero(catalogue.shards == number).tolist())
        found |= dict.fromkeys(zip(shard.videos.tolist(), shard.segments.tolist(), strict=True), number)
    assert set(found) == set(mean_pooled(tmp_path))
    assert not [path for path in generation.parent.iterdir() if path.name.startswith(".building")]


def test_the_vectors_are_mean_pooled_unit_frames(tmp_path: Path) -> None:
    report = build(BuildConfig(collection=collection(tmp_path), shards=2))
    expected = mean_pooled(tmp_path)
    queries = np.stack(list(expected.values()))
    for pair, hits in zip(expected, search(report, queries, 3), strict=True):
        assert pairs(hits)[0] == pair
        numeric.close(hits.scores, [expected[p] @ expected[pair] for p in pairs(hits)])


@pytest.mark.parametrize("index", ["flat", "flatl2", "ivfflat"])
def test_any_number_of_shards_answers_alike(tmp_path: Path, index: str) -> None:
    path = collection(tmp_path)
    queries = np.stack(list(mean_pooled(path).values()))[::5]
    answers = [
        search(build(BuildConfig(collection=path, shards=n, index=index)), queries, 20) for n in (1, 3, 8)
    ]
    for one, three, eight in zip(*answers, strict=True):
        assert pairs(one) == pairs(three) == pairs(eight)
        np.testing.assert_array_equal(one.scores, three.scores)
        np.testing.assert_array_equal(one.scores, eight.scores)


def test_the_rankers_features_lie_in_ordinal_order(tmp_path: Path) -> None:
    report = build(BuildConfig(collection=collection(tmp_path)))
    contexts = ContextStore.open(Path(report.directory))
    store = FeatureStore.open(tmp_path / "features" / ENCODER)
    for ordinal, video in enumerate(sorted(FRAMES)):
        np.testing.assert_array_equal(contexts.video(ordinal, "frames"), store.rows(video, "frames"))
    assert manifest.read(Path(report.directory)).streams["frames"].dtype == "float16"


def test_the_same_input_is_found_and_not_built_again(tmp_path: Path) -> None:
    path = collection(tmp_path / "one")
    first = build(BuildConfig(collection=path, shards=2))
    stages: list[str] = []
    again = build(BuildConfig(collection=path, shards=2), lambda stage, *_: stages.append(stage))
    assert (again.id, again.reused, first.reused, stages) == (first.id, True, False, [])
    elsewhere = collection(tmp_path / "two", dict(reversed(FRAMES.items())))
    assert build(BuildConfig(collection=elsewhere, shards=2)).id == first.id
    files = [manifest.read(Path(report.directory)).files for report in (first, again)]
    assert files[0] == files[1]


@pytest.mark.parametrize("changes", [{"shards": 3}, {"index": "flatl2"}, {"index": "ivfflat", "nprobe": 1}])
def test_another_setting_is_another_generation(tmp_path: Path, changes: dict[str, object]) -> None:
    path = collection(tmp_path)
    first = build(BuildConfig(collection=path, shards=2))
    second = build(BuildConfig(**{"collection": path, "shards": 2, **changes}))  # type: ignore[arg-type]
    assert first.id != second.id
    assert Path(first.directory).is_dir()
    assert manifest.current(path).name == second.id


def test_a_new_video_makes_a_new_generation(tmp_path: Path) -> None:
    first = build(BuildConfig(collection=collection(tmp_path)))
    second = build(BuildConfig(collection=collection(tmp_path, {"another": 10})))
    assert (second.videos, second.id != first.id) == (13, True)


def test_a_damaged_generation_is_built_again(tmp_path: Path) -> None:
    report = build(BuildConfig(collection=collection(tmp_path)))
    path = Path(report.directory) / "shard-00000" / "index.faiss"
    content, checksum = bytearray(path.read_bytes()), sha256(path)
    content[-1] ^= 1
    path.write_bytes(content)
    again = build(BuildConfig(collection=tmp_path))
    assert (again.id, again.reused, sha256(path)) == (report.id, False, checksum)


def test_old_generations_are_kept_until_told_otherwise(tmp_path: Path) -> None:
    path = collection(tmp_path)
    served = build(BuildConfig(collection=path))
    kept = [build(BuildConfig(collection=path, shards=n, activate=False)) for n in (2, 3)]
    assert manifest.current(path).name == served.id
    assert not kept[0].active
    pruned = build(BuildConfig(collection=path, shards=4, activate=False, keep=1))
    assert set(pruned.removed) == {report.id for report in kept}
    assert {p.name for p in (path / "generations").iterdir() if p.is_dir()} == {served.id, pruned.id}


def test_what_a_service_holds_is_kept(tmp_path: Path) -> None:
    path = collection(tmp_path)
    served = build(BuildConfig(collection=path))
    with held(Topology(path=path, collection=path)) as topology:
        assert topology.generation == served.id
        newer = build(BuildConfig(collection=path, shards=2, keep=1))
        assert newer.removed == []
        assert manifest.current(path).name == newer.id
    assert build(BuildConfig(collection=path, shards=2, keep=1)).removed == [served.id]


def test_a_corpus_file_chooses_the_videos(tmp_path: Path) -> None:
    path = collection(tmp_path)
    corpus = tmp_path / "corpus.json"
    corpus.write_text(json.dumps({"video 03": 30.0, "video 01": 16.0, "never ingested": 9.0}))
    report = build(BuildConfig(collection=path, videos=corpus))
    assert (report.videos, report.missing) == (2, 1)
    assert Catalogue.open(Path(report.directory)).ids == ["video 01", "video 03"]
    corpus.write_text(json.dumps({"never ingested": 9.0}))
    with pytest.raises(NotFound, match="spr ingest"):
        build(BuildConfig(collection=path, videos=corpus))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"shards": 13}, "number of videos, 12"),
        ({"shards": 0}, "not between 1"),
        ({"index": "ivfpq"}, "256 centroids"),
        ({"index": "Nope"}, "Nope"),
        ({"index": "IVF999,Flat"}, "999 lists"),
        ({"encoder": "abc"}, "abc"),
        ({"ranker": "nowhere"}, "nowhere"),
    ],
)
def test_what_cannot_be_built_is_refused(tmp_path: Path, changes: dict[str, object], words: str) -> None:
    path = collection(tmp_path)
    with pytest.raises((InvalidInput, NotFound), match=words):
        build(BuildConfig(**{"collection": path, **changes}))  # type: ignore[arg-type]
    assert not (path / "CURRENT").exists()


def test_one_build_at_a_time(tmp_path: Path) -> None:
    path = collection(tmp_path)
    with only_builder(path), pytest.raises(Unavailable, match="another build"):
        build(BuildConfig(collection=path))


def test_a_failed_build_leaves_nothing(tmp_path: Path) -> None:
    path = collection(tmp_path)
    first = build(BuildConfig(collection=path))

    def fail(stage: str, done: int, total: int) -> None:
        if stage == "context":
            raise OSError(28, "No space left on device")

    with pytest.raises(Unavailable, match=r"No space left on device\): make room and run the same command"):
        build(BuildConfig(collection=path, shards=2), fail)
    assert manifest.current(path).name == first.id
    assert [p.name for p in (path / "generations").iterdir() if p.is_dir()] == [first.id]


def test_a_killed_build_leaves_the_served_generation_and_is_swept(tmp_path: Path) -> None:
    path = collection(tmp_path)
    first = build(BuildConfig(collection=path))
    assert killed_build(path, "index") == -signal.SIGKILL
    left = [p.name for p in (path / "generations").iterdir() if p.name.startswith(".building")]
    assert len(left) == 1
    assert manifest.current(path).name == first.id
    manifest.verify(manifest.current(path), manifest.read(manifest.current(path)))
    second = build(BuildConfig(collection=path, shards=2))
    assert not second.reused
    names = {p.name for p in (path / "generations").iterdir() if p.is_dir()}
    assert names == {first.id, second.id}


def test_the_command_builds_and_reports(tmp_path: Path) -> None:
    path = collection(tmp_path)
    result = CliRunner().invoke(cli, ["build", os.fspath(path), "--shards", "2", "--json"])
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert (report["videos"], report["shards"], report["reused"]) == (12, 2, False)
    assert manifest.current(path).name == report["id"]
    again = CliRunner().invoke(cli, ["build", os.fspath(path), "--shards", "2"])
    assert "reused: 12 videos" in again.stdout
