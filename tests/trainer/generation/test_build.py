import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from engine import parts, versions
from engine.catalogue import PartCatalogue
from engine.corpus import open_corpus
from engine.errors import InvalidInput, NotFound, Unavailable
from engine.files import sha256
from engine.verification import verify
from engine.version_lock import held, only_writer
from spr_cli.main import cli
from tests import numeric
from tests.trainer.generation.built import (
    DIM,
    ENCODER,
    FRAMES,
    collection,
    killed_build,
    mean_pooled,
    parts_there,
    search,
)
from tests.workers.index.factories import pairs
from trainer.generation.build import BuildConfig, build
from workers.feature_store.store import FeatureStore
from workers.index.part import IndexPart
from workers.ranker.stores.features import FeatureMaps


def test_a_version_holds_every_segment_once(tmp_path: Path) -> None:
    report = build(BuildConfig(collection=collection(tmp_path), shards=3))
    corpus = open_corpus(tmp_path)
    about = corpus.version
    assert (about.id, about.number, about.collection, about.reason) == (report.id, 1, "tiny", "build")
    assert (about.videos, about.segments, about.dim) == (12, sum(-(-n // 4) for n in FRAMES.values()), DIM)
    assert about.embedding_model == f"{ENCODER}/mean-pool"
    assert report.search is not None
    assert (about.factory, about.segment_length, report.search.recall) == ("Flat", 4.0, 1.0)
    assert corpus.catalogue.ids == sorted(FRAMES)
    assert corpus.catalogue.durations.tolist() == [FRAMES[video] - 0.5 for video in corpus.catalogue.ids]
    found: set[tuple[int, int]] = set()
    for number, part in enumerate(corpus.parts):
        verify(part.directory, part.about)
        assert (part.about.factory, part.about.code, part.shard) == ("Flat", "IxFI", f"shard-{number:05d}")
        shard = IndexPart.open(part.directory / "index")
        assert set(shard.videos.tolist()) == set(range(part.about.videos))
        assert corpus.catalogue.shards[part.ordinals].tolist() == [number] * part.about.videos
        found |= set(zip(part.ordinals[shard.videos].tolist(), shard.segments.tolist(), strict=True))
    assert found == set(mean_pooled(tmp_path))
    assert parts_there(tmp_path) == sorted(report.parts)


def test_the_vectors_are_mean_pooled_unit_frames(tmp_path: Path) -> None:
    report = build(BuildConfig(collection=collection(tmp_path), shards=2))
    expected = mean_pooled(tmp_path)
    queries = np.stack(list(expected.values()))
    for pair, hits in zip(expected, search(tmp_path, report, queries, 3), strict=True):
        assert pairs(hits)[0] == pair
        numeric.close(hits.scores, [expected[p] @ expected[pair] for p in pairs(hits)])


@pytest.mark.parametrize("index", ["flat", "flatl2", "ivfflat"])
def test_any_number_of_shards_answers_alike(tmp_path: Path, index: str) -> None:
    path = collection(tmp_path)
    queries = np.stack(list(mean_pooled(path).values()))[::5]
    answers = [
        search(path, build(BuildConfig(collection=path, shards=n, index=index)), queries, 20)
        for n in (1, 3, 8)
    ]
    for one, three, eight in zip(*answers, strict=True):
        assert pairs(one) == pairs(three) == pairs(eight)
        np.testing.assert_array_equal(one.scores, three.scores)
        np.testing.assert_array_equal(one.scores, eight.scores)


def test_the_rankers_features_lie_in_the_order_of_the_parts_videos(tmp_path: Path) -> None:
    build(BuildConfig(collection=collection(tmp_path), shards=2))
    store = FeatureStore.open(tmp_path / "features" / ENCODER)
    for part in open_corpus(tmp_path).parts:
        contexts = FeatureMaps.open(part.directory)
        for number, video in enumerate(PartCatalogue.open(part.directory).ids):
            np.testing.assert_array_equal(contexts.video(number, "frames"), store.rows(video, "frames"))
        assert part.about.streams["frames"].dtype == "float16"


def test_the_same_input_is_found_and_not_built_again(tmp_path: Path) -> None:
    path = collection(tmp_path / "one")
    first = build(BuildConfig(collection=path, shards=2))
    stages: list[str] = []
    again = build(BuildConfig(collection=path, shards=2), lambda stage, *_: stages.append(stage))
    assert (again.id, again.reused, first.reused, stages) == (first.id, True, False, [])
    elsewhere = collection(tmp_path / "two", dict(reversed(FRAMES.items())))
    assert build(BuildConfig(collection=elsewhere, shards=2)).parts == first.parts


def test_a_version_of_before_is_made_current_again(tmp_path: Path) -> None:
    path = collection(tmp_path)
    first, second = (build(BuildConfig(collection=path, shards=shards)) for shards in (2, 3))
    assert versions.current(path) == second.id
    assert build(BuildConfig(collection=path, shards=2)).reused
    assert versions.current(path) == first.id
    assert versions.numbers(path) == [1, 2]


@pytest.mark.parametrize("changes", [{"shards": 3}, {"index": "flatl2"}, {"index": "ivfflat", "nprobe": 1}])
def test_another_setting_is_another_version(tmp_path: Path, changes: dict[str, object]) -> None:
    path = collection(tmp_path)
    first = build(BuildConfig(collection=path, shards=2))
    second = build(BuildConfig(**{"collection": path, "shards": 2, **changes}))  # type: ignore[arg-type]
    assert (first.number, second.number) == (1, 2)
    assert versions.current(path) == second.id
    assert open_corpus(path, first.id).version.parent == ""
    assert open_corpus(path).version.parent == first.id


def test_a_new_video_makes_a_new_version(tmp_path: Path) -> None:
    first = build(BuildConfig(collection=collection(tmp_path)))
    second = build(BuildConfig(collection=collection(tmp_path, {"another": 10})))
    assert (second.videos, second.id != first.id) == (13, True)


def test_a_damaged_part_is_built_again(tmp_path: Path) -> None:
    report = build(BuildConfig(collection=collection(tmp_path)))
    path = parts.directory(tmp_path, report.parts[0]) / "index" / "index.faiss"
    path.chmod(0o644)
    content, checksum = bytearray(path.read_bytes()), sha256(path)
    content[-1] ^= 1
    path.write_bytes(content)
    again = build(BuildConfig(collection=tmp_path))
    assert (again.id, again.reused, sha256(path)) == (report.id, False, checksum)


def test_old_versions_are_kept_until_told_otherwise(tmp_path: Path) -> None:
    path = collection(tmp_path)
    served = build(BuildConfig(collection=path))
    kept = [build(BuildConfig(collection=path, shards=n, activate=False)) for n in (2, 3)]
    assert versions.current(path) == served.id
    assert not kept[0].active
    pruned = build(BuildConfig(collection=path, shards=4, activate=False, keep=1))
    assert set(pruned.removed) == {report.id for report in kept}
    assert versions.numbers(path) == [served.number, pruned.number]
    assert parts_there(path) == sorted([*served.parts, *pruned.parts])


def test_what_a_service_holds_is_kept(tmp_path: Path) -> None:
    path = collection(tmp_path)
    served = build(BuildConfig(collection=path))
    with held(path, served.id):
        newer = build(BuildConfig(collection=path, shards=2, keep=1))
        assert newer.removed == []
        assert newer.notes == [f"version {served.id} is still used, so --keep 1 left it"]
        assert versions.current(path) == newer.id
        assert open_corpus(path, served.id).version.id == served.id
    assert build(BuildConfig(collection=path, shards=2, keep=1)).removed == [served.id]


def test_a_corpus_file_chooses_the_videos(tmp_path: Path) -> None:
    path = collection(tmp_path)
    corpus = tmp_path / "corpus.json"
    corpus.write_text(json.dumps({"video 03": 30.0, "video 01": 16.0, "never ingested": 9.0}))
    report = build(BuildConfig(collection=path, videos=corpus))
    assert (report.videos, report.missing) == (2, 1)
    # The next build takes the file of the version before.
    for made in (report, build(BuildConfig(collection=path))):
        assert f"1 video of {corpus} has no features and is left out" in made.notes
    assert open_corpus(path).catalogue.ids == ["video 01", "video 03"]
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


def test_one_build_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = collection(tmp_path)
    monkeypatch.setattr("engine.version_lock.PATIENCE", 0)
    with only_writer(path), pytest.raises(Unavailable, match="another process writes"):
        build(BuildConfig(collection=path))


def test_a_failed_build_leaves_nothing(tmp_path: Path) -> None:
    path = collection(tmp_path)
    first = build(BuildConfig(collection=path))

    def fail(stage: str, done: int, total: int) -> None:
        if stage == "context":
            raise OSError(28, "No space left on device")

    with pytest.raises(Unavailable, match=r"No space left on device\): make room and run the same command"):
        build(BuildConfig(collection=path, shards=2), fail)
    assert versions.current(path) == first.id
    assert parts_there(path) == first.parts


def test_a_killed_build_leaves_the_served_version_and_is_swept(tmp_path: Path) -> None:
    path = collection(tmp_path)
    first = build(BuildConfig(collection=path))
    assert killed_build(path, "index") == -signal.SIGKILL
    assert [name for name in parts_there(path) if name.startswith(".building")]
    assert versions.current(path) == first.id
    assert open_corpus(path).version.id == first.id
    second = build(BuildConfig(collection=path, shards=2))
    assert not second.reused
    assert parts_there(path) == sorted([*first.parts, *second.parts])


def test_the_command_builds_and_reports(tmp_path: Path) -> None:
    path = collection(tmp_path)
    result = CliRunner().invoke(cli, ["build", os.fspath(path), "--shards", "2", "--json"])
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert (report["videos"], report["shards"], report["reused"]) == (12, 2, False)
    assert (versions.current(path), report["number"], len(report["parts"])) == (report["id"], 1, 2)
    again = CliRunner().invoke(cli, ["build", os.fspath(path), "--shards", "2"])
    assert "reused: 12 videos" in again.stdout
