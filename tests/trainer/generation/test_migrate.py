"""A collection of the format before becomes one of versions and parts, and answers as it did."""

import dataclasses
import fcntl
import importlib
import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from click.testing import CliRunner

from engine import versions
from engine.catalogue import PartCatalogue
from engine.corpus import open_corpus
from engine.errors import Mismatch, NotFound
from engine.verification import verify
from spr_cli.main import cli
from tests import apart
from tests.trainer.generation.built import ENCODER, FRAMES, collection, mean_pooled, parts_there, search
from tests.trainer.generation.old import NAME, as_generation, digest
from tests.trainer.generation.test_contexts import with_ranker
from tests.workers.index.factories import pairs
from trainer.generation.build import BuildConfig, BuildReport, build
from trainer.generation.kit import open_kit
from trainer.generation.migrate import migrate
from trainer.generation.part import add_part
from workers.feature_store.store import FeatureStore
from workers.index.factory import CODES
from workers.ranker.stores.contexts import EncodedStore
from workers.ranker.stores.features import FeatureMaps


def old(path: Path, number: int = 2, shards: int = 3, index: str = "flat") -> BuildReport:
    """Make a collection of the format before with a ranker; return what was built of the same features."""
    with_ranker(path)
    report = build(BuildConfig(collection=path, shards=shards, index=index, recall=0.5))
    as_generation(path, number)
    return report


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize(("shards", "index"), [(1, "flat"), (3, "flat"), (2, CODES), (2, "IVF4,Flat")])
def test_a_migrated_collection_answers_as_a_built_one(
    tmp_path: Path, number: int, shards: int, index: str
) -> None:
    fresh = tmp_path / "fresh"
    with_ranker(fresh)
    expected = build(BuildConfig(collection=fresh, shards=shards, index=index, recall=0.5))
    path = shutil.copytree(fresh, tmp_path / "c")
    as_generation(path, number)
    report = migrate(path)
    assert (report.migrated, report.removed, report.notes) == (True, True, [])
    corpus, wanted = open_corpus(path), open_corpus(fresh)
    assert (corpus.id, corpus.version.reason) == (report.id, "migrate")
    assert corpus.catalogue.ids == wanted.catalogue.ids
    assert corpus.catalogue.uris == wanted.catalogue.uris
    for column in ("durations", "segments", "shards"):
        np.testing.assert_array_equal(getattr(corpus.catalogue, column), getattr(wanted.catalogue, column))
    for part, other in zip(corpus.parts, wanted.parts, strict=True):
        verify(part.directory, part.about)
        assert part.about.files == other.about.files
    queries = np.stack(list(mean_pooled(path).values()))[::7]
    mine = search(path, dataclasses.replace(expected, id=report.id), queries, 20)
    for found, right in zip(mine, search(fresh, expected, queries, 20), strict=True):
        assert pairs(found) == pairs(right)
        np.testing.assert_array_equal(found.scores, right.scores)
    assert not (path / "generations").exists()


def test_features_and_contexts_are_the_videos_own(tmp_path: Path) -> None:
    old(tmp_path)
    migrate(tmp_path)
    store = FeatureStore.open(tmp_path / "features" / ENCODER)
    for part in open_corpus(tmp_path).parts:
        maps, contexts = FeatureMaps.open(part.directory), EncodedStore.open(part.directory)
        for number, video in enumerate(PartCatalogue.open(part.directory).ids):
            np.testing.assert_array_equal(maps.video(number, "frames"), store.rows(video, "frames"))
            assert contexts.clips[number] == FRAMES[video]


def test_videos_can_be_added_to_a_migrated_collection(tmp_path: Path) -> None:
    old(tmp_path, index=CODES)
    migrate(tmp_path)
    collection(tmp_path, {"video 12": 30})
    kit = open_kit(tmp_path, versions.read(tmp_path), "cpu")
    assert add_part(tmp_path, kit, ["video 12"]).segments == 8


def test_a_migrated_collection_is_left_alone(tmp_path: Path) -> None:
    old(tmp_path)
    first = migrate(tmp_path, keep_old=True)
    assert (tmp_path / "generations" / NAME / "manifest.json").is_file()
    again = migrate(tmp_path)
    assert (again.id, again.migrated, again.removed) == (first.id, False, True)
    assert versions.numbers(tmp_path) == [1]


def migrate_until(path: Path, place: str) -> None:
    """Migrate, and be killed in place of a call of a function; of rmtree's, in place of the one for good."""
    module, _, name = place.rpartition(".")
    done = getattr(importlib.import_module(module), name)

    def kill(path: Path, *rest: Any, **more: Any) -> Any:
        if name == "rmtree" and "removed" not in str(path):
            return done(path, *rest, **more)
        os.kill(os.getpid(), signal.SIGKILL)

    with patch(place, kill):
        migrate(path)


@pytest.mark.parametrize("place", ["engine.parts.seal", "engine.versions.activate", "shutil.rmtree"])
def test_a_killed_migration_goes_on(tmp_path: Path, place: str) -> None:
    old(tmp_path, shards=2)
    assert apart.call(Path(os.devnull), migrate_until, tmp_path, place) == -signal.SIGKILL
    report = migrate(tmp_path)
    corpus = open_corpus(tmp_path)
    assert (corpus.id, len(corpus.catalogue)) == (report.id, len(FRAMES))
    assert versions.numbers(tmp_path) == [1]
    assert parts_there(tmp_path) == sorted(report.parts)
    assert not [left for left in tmp_path.iterdir() if "generations" in left.name]


def test_a_generation_that_is_served_is_left(tmp_path: Path) -> None:
    old(tmp_path)
    home = os.open(tmp_path / "generations" / NAME, os.O_RDONLY)
    fcntl.flock(home, fcntl.LOCK_SH)
    report = migrate(tmp_path)
    assert (report.migrated, report.removed) == (True, False)
    assert "is still served" in report.notes[0]
    os.close(home)
    assert migrate(tmp_path).removed


@pytest.mark.parametrize("number", [1, 2])
def test_a_damaged_generation_is_refused_by_name(tmp_path: Path, number: int) -> None:
    old(tmp_path, number)
    path = tmp_path / "generations" / NAME / "shard-00001" / "index.faiss"
    path.chmod(0o644)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(Mismatch, match=r"shard-00001/index\.faiss is not what its manifest says"):
        migrate(tmp_path)
    path.unlink()
    with pytest.raises(Mismatch, match=r"shard-00001/index\.faiss is missing"):
        migrate(tmp_path)
    assert (tmp_path / "CURRENT").read_text() == NAME + "\n"
    assert parts_there(tmp_path) == []


def test_a_manifest_that_was_changed_is_refused(tmp_path: Path) -> None:
    old(tmp_path)
    path = tmp_path / "generations" / NAME / "manifest.json"
    value = json.loads(path.read_text())
    path.write_text(json.dumps(value | {"segment_length": 5.0}))
    with pytest.raises(Mismatch, match=r"manifest\.json does not have the checksum it gives"):
        migrate(tmp_path)
    del value["sha256"]
    value["files"] = {"../../collection.json": {"sha256": "", "bytes": 0}}
    path.write_text(json.dumps(value | {"sha256": digest(value)}))
    with pytest.raises(Mismatch, match="which is not in it"):
        migrate(tmp_path)


def test_other_commands_tell_of_the_migration_and_the_command_does_it(tmp_path: Path) -> None:
    old(tmp_path, number=1)
    with pytest.raises(NotFound, match="run `spr migrate"):
        open_corpus(tmp_path)
    result = CliRunner().invoke(cli, ["migrate", os.fspath(tmp_path)])
    assert result.exit_code == 0, result.output
    assert "version 1 (00000001-" in result.stdout
    assert "12 videos in 3 parts" in result.stdout
    assert "nothing to migrate" in CliRunner().invoke(cli, ["migrate", os.fspath(tmp_path)]).stdout
    told = json.loads(CliRunner().invoke(cli, ["migrate", os.fspath(tmp_path), "--json"]).stdout)
    assert told["migrated"] is False
