"""What earlier releases wrote is opened, searched, added to and migrated by this one."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from engine import config, versions
from engine.corpus import open_corpus
from tests import numeric
from tests.released.make import HERE, answers
from tests.trainer.screen.factories import stands, write_film, written
from trainer.generation.migrate import migrate
from trainer.library.ingesting import add_files
from trainer.library.kits import Kits
from trainer.library.verify import verify
from trainer.screen.setting import set_reading

RELEASES = sorted(path.name for path in HERE.iterdir() if (path / "golden.json").is_file())


@pytest.fixture(scope="module", params=RELEASES)
def released(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of a release's folder, its collection migrated as docs/serving.md says."""
    folder = tmp_path_factory.mktemp("released") / "c"
    shutil.copytree(HERE / request.param, folder)
    migrate(folder / "collection")
    return folder


def test_there_is_a_release() -> None:
    assert "0.1.0" in RELEASES


def test_every_byte_is_understood(released: Path) -> None:
    collection = released / "collection"
    assert verify(collection) == []
    assert [versions.read(collection, str(n)).reason for n in (1, 2, 3)] == ["build", "add", "delete"]


def test_searches_answer_what_they_did(released: Path) -> None:
    golden = json.loads((released / "golden.json").read_text())
    assert golden["answers"]
    for text, expected in golden["answers"].items():
        _same(answers(released / "collection", text), expected)


def _same(found: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    # By place: the order of nearly equal scores may depend on the processor.
    found, expected = (
        sorted(rows, key=lambda row: (row["video"], row["span"])) for rows in (found, expected)
    )
    assert [row["video"] for row in found] == [row["video"] for row in expected]
    numeric.close([row["span"] for row in found], [row["span"] for row in expected])
    mine, theirs = ([row["score"] for row in rows] for rows in (found, expected))
    numeric.close(sorted(mine), sorted(theirs), 1e-3)


def test_a_topology_means_what_it_meant(released: Path) -> None:
    topology = config.read(released / "topology.toml")
    assert topology.collection == (released / "collection").resolve()
    assert [worker.name for worker in topology.index] == ["shard-00000", "shard-00001"]
    assert (topology.coordinator.listen, topology.coordinator.proposals) == ("127.0.0.1:7400", "peaks:1")


def _unheard(done: int, total: int, words: str) -> None:
    """Take progress."""


def test_videos_can_be_added(released: Path, tmp_path: Path) -> None:
    collection = shutil.copytree(released / "collection", tmp_path / "c")
    before = open_corpus(collection)
    set_reading(collection, True)
    pictures = stands((written("platform nine", size=(224, 224), letters=24), 5))
    video = write_film(tmp_path / "new.mp4", pictures, (224, 224))
    added = add_files(collection, [video], Kits("cpu"), _unheard)
    after = open_corpus(collection)
    assert list(added.change.videos) == ["new"]
    assert set(after.catalogue.ids) == {*before.catalogue.ids, "new"}
    assert after.version.parent == before.id
    # It does for a video what the collection does for all.
    assert [added.summary.screens[name] for name in ("videos", "lines")] == [1, 1]
    assert {row["video"] for row in answers(collection, "a red ball bounces")} >= {"a", "b"}
