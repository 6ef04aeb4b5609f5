"""What a build takes over from the version that is served, and what it refuses to lose."""

import dataclasses
import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from engine import parts, versions
from engine.corpus import open_corpus
from engine.errors import InvalidInput, Mismatch, NotFound
from spr_cli.main import cli
from tests.trainer.generation.built import ENCODER, FRAMES, collection, parts_there
from tests.trainer.generation.test_contexts import with_ranker
from tests.trainer.generation.test_models import make_projector
from trainer.collection.places import describe_collection
from trainer.generation.build import BuildConfig, BuildReport, build
from workers.feature_store.format import FORMERLY
from workers.feature_store.store import FeatureStore

OTHER = "f1f1f1f1f1f1f1f1"


def spr(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [os.fspath(a) if isinstance(a, Path) else str(a) for a in arguments])


def built(path: Path, **changes: object) -> BuildReport:
    return build(BuildConfig(**{"collection": path, **changes}))  # type: ignore[arg-type]


def damage(path: Path, number: int) -> None:
    (path / "versions" / f"{number:08d}.json").write_bytes(b"{}")


def corpus(path: Path, *videos: str) -> Path:
    file = path / "annotations" / "corpus.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(dict.fromkeys(videos, 30.0)))
    return file


def test_a_build_goes_on_as_the_served_version_was(tmp_path: Path) -> None:
    path = collection(tmp_path)
    videos = corpus(path, "video 01", "video 03", "video 05")
    first = built(path, shards=2, index="IVF1,Flat", nprobe=1, videos=videos)
    again = built(path)
    assert (again.id, again.reused) == (first.id, True)
    said = f"as the version before: --nprobe 1 --index IVF1,Flat --shards 2 --videos {videos}"
    assert again.notes == [said]
    assert said in spr("build", path).stderr
    widened = built(path, all_videos=True, index="flat")
    assert (widened.videos, widened.shards, widened.factory) == (12, 2, "Flat")
    assert built(path, shards=1).shards == 1


def test_a_corpus_file_of_before_that_is_gone_is_told(tmp_path: Path) -> None:
    path = collection(tmp_path)
    videos = corpus(path, "video 01")
    built(path, videos=videos)
    videos.unlink()
    with pytest.raises(InvalidInput, match=r"corpus\.json, which is gone: say --videos FILE, or"):
        built(path)
    assert spr("build", path, "--videos", "all").exit_code == 0


def test_videos_that_are_served_are_not_lost_without_a_word(tmp_path: Path) -> None:
    path = collection(tmp_path)
    served = built(path)
    collection(path, {"video 01": 16, "video 02": 23}, encoder=OTHER)
    words = "10 of the 12 videos that are served would be gone (video 00, video 03, video 04, ...)"
    with pytest.raises(InvalidInput) as caught:
        built(path, encoder=OTHER)
    assert words in str(caught.value)
    assert versions.current(path) == served.id
    assert built(path, encoder=OTHER, activate=False).videos == 2
    assert built(path, encoder=OTHER, allow_fewer=True).videos == 2
    assert versions.read(path).encoder.fingerprint == OTHER


def test_a_corpus_file_says_which_videos_may_go(tmp_path: Path) -> None:
    path = collection(tmp_path)
    built(path)
    assert built(path, videos=corpus(path, "video 01", "video 03")).videos == 2
    collection(path, {"video 01": 16}, encoder=OTHER)
    with pytest.raises(InvalidInput, match=r"1 of the 2 videos .*video 03"):
        built(path, encoder=OTHER)


@pytest.mark.parametrize("kind", ["projector", "ranker"])
def test_a_model_that_was_served_is_not_lost_without_a_word(tmp_path: Path, kind: str) -> None:
    path = collection(tmp_path)
    name = make_projector(path) if kind == "projector" else with_ranker(path)
    built(path)
    (path / "models" / kind / "CURRENT").unlink()
    with pytest.raises(Mismatch, match=rf"has {kind} {name} .* no CURRENT .*--{kind} none"):
        built(path)
    assert getattr(versions.read(path), kind).fingerprint == name
    built(path, **{kind: "none"})
    assert getattr(versions.read(path), kind) is None
    report = built(path)
    assert report.notes[-1].endswith(f"and no CURRENT that names one: built without a {kind}")


@pytest.mark.parametrize("content", [b"\xff\xfe\n", b""])
def test_a_garbled_current_model_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    path = collection(tmp_path)
    make_projector(path)
    (path / "models" / "projector" / "CURRENT").write_bytes(content)
    with pytest.raises(InvalidInput, match="projector/CURRENT is "):
        built(path)


def test_an_empty_store_of_another_encoder_blocks_nothing(tmp_path: Path) -> None:
    path = collection(tmp_path)
    collection(path, {}, encoder=OTHER)
    assert built(path).videos == 12
    collection(path, {"video 01": 16}, encoder=OTHER)
    with pytest.raises(InvalidInput) as caught:
        built(path)
    assert f"{ENCODER} (tiny, 12 videos) or {OTHER} (tiny, 1 video)" in str(caught.value)
    with pytest.raises(NotFound, match=rf"of encoder abc; there are {ENCODER} \(tiny, 12 videos\)"):
        built(path, encoder="abc")


def test_a_damaged_version_before_is_told_and_stops_nothing(tmp_path: Path) -> None:
    path = collection(tmp_path)
    built(path, shards=2)
    damage(path, 1)
    report = built(path)
    assert "the version before cannot be read" in report.notes[0]
    assert report.videos == 12


def test_a_version_is_removed_beside_a_damaged_one(tmp_path: Path) -> None:
    path = collection(tmp_path)
    _, second = built(path), built(path, shards=2)
    damage(path, 1)
    assert built(path, shards=3, keep=1).removed == [second.id]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"name": "tiny", "format": 2}', "has format 2, this program reads 1"),
        ('{"name": 7, "format": 1}', "gives the collection no name"),
        ("[]", "does not hold an object"),
        ("{", "it is not JSON"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_a_garbled_collection_is_refused_in_one_sentence(tmp_path: Path, content: str, words: str) -> None:
    path = collection(tmp_path)
    (path / "collection.json").write_text(content)
    with pytest.raises((Mismatch, InvalidInput), match=words) as caught:
        built(path)
    assert "collection.json" in str(caught.value)


def test_a_collection_is_called_as_its_directory_until_it_has_a_name(tmp_path: Path) -> None:
    path = collection(tmp_path / "holidays")
    (path / "collection.json").unlink()
    built(path)
    assert versions.read(path).collection == "holidays"
    assert spr("build", path, "--name", "summer").exit_code == 0
    assert versions.read(path).collection == "summer"
    assert describe_collection(path) == "summer"
    for name in ("", " summer", "a\nb", "x" * 81):
        with pytest.raises(InvalidInput, match="--name"):
            built(path, name=name)


def test_what_was_asked_is_checked_before_a_model_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = collection(tmp_path)
    make_projector(path)
    monkeypatch.setattr("trainer.generation.models.load_projector", None)
    for changes in ({"index": "nonsense"}, {"shards": 13}, {"recall": 2.0}, {"device": "toaster"}):
        with pytest.raises((InvalidInput, NotFound)):
            built(path, **changes)


def test_features_of_other_content_make_another_version(tmp_path: Path) -> None:
    path = collection(tmp_path)
    first = built(path)
    with FeatureStore.open(path / "features" / ENCODER, "a") as store:
        record = store.record("video 00")
        rows = {name: -store.rows("video 00", name) for name in record.streams}
        store.append("video 00", rows, uri=record.uri, sha256=record.sha256, duration=record.duration)
    second = built(path)
    assert (second.reused, second.id != first.id) == (False, True)


def test_features_that_changed_in_place_are_refused_by_name(tmp_path: Path) -> None:
    path = collection(tmp_path)
    frames = path / "features" / ENCODER / "frames.bin"
    content = bytearray(frames.read_bytes())
    content[len(content) // 2] ^= 0x10
    frames.write_bytes(content)
    result = spr("build", path)
    assert isinstance(result.exception, Mismatch)
    assert "frames.bin is damaged" in str(result.exception)
    assert "ingest that video again" in str(result.exception)


def test_a_built_part_is_read_only_and_can_be_removed(tmp_path: Path) -> None:
    path = collection(tmp_path)
    report = built(path)
    first = parts.directory(path, report.parts[0])
    modes = {file.stat().st_mode & 0o222 for file in first.rglob("*") if file.is_file()}
    assert modes == {0}
    assert open_corpus(path).catalogue.ids == sorted(FRAMES)
    assert built(path, shards=2, keep=1).removed == [report.id]
    assert not first.exists()


def test_a_stopped_build_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = collection(tmp_path)
    first = built(path)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("trainer.generation.indexing.check", stop)
    result = spr("build", path, "--shards", "2")
    assert result.exit_code == 130
    assert "what is served is as it was" in result.stderr
    assert versions.current(path) == first.id
    assert parts_there(path) == first.parts


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
    with pytest.raises(InvalidInput, match="10 of the 12 videos that are served would be gone"):
        built(path)
    assert built(path, videos=videos).videos == 2


def test_a_collection_of_an_older_format_is_migrated_first(tmp_path: Path) -> None:
    path = collection(tmp_path)
    (path / "generations" / "0123456789abcdef").mkdir(parents=True)
    (path / "CURRENT").write_text("0123456789abcdef\n")
    with pytest.raises(NotFound, match="of an older format: run `spr migrate"):
        built(path)
