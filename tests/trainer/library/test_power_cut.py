"""A power cut at any file operation loses nothing that was acknowledged and shows nothing by halves."""

from pathlib import Path

import numpy as np
import pytest

from engine import staging, versions
from tests.power_cut import Recording, State
from tests.trainer.library.cuts import every_state, record
from tests.trainer.library.tiny import living, without, write_part, write_version
from trainer.library.restore import restore
from trainer.library.snapshot import snapshot
from workers.feature_store.store import FeatureStore, Stream


@pytest.fixture
def collection(memory: Path) -> Path:
    home = memory / "c"
    home.mkdir()
    (home / "collection.json").write_text('{"name": "tiny", "format": 1}')
    write_version(home, [write_part(home, ["a", "b"])], reason="build")
    return home


def test_every_change_of_a_collection_is_there_or_not(collection: Path, memory: Path) -> None:
    """Add, delete, compact: an acknowledged version is current, and another is whole."""
    expected = [["a", "b"], ["a", "b", "c"], ["a", "c"], ["a", "c"]]

    def run(recording: Recording) -> None:
        first = versions.read(collection)
        added = write_version(collection, [*first.parts, write_part(collection, ["c"])], first.id)
        recording.acknowledge(added.id)
        fewer = [without(added.parts[0], 1), added.parts[1]]
        deleted = write_version(collection, fewer, added.id, "delete")
        recording.acknowledge(deleted.id)
        merged = write_version(collection, [write_part(collection, ["a", "c"])], deleted.id, "compact")
        recording.acknowledge(merged.id)

    def check(found: Path, state: State) -> None:
        done = len(state.acknowledged)
        number = versions.read(found).number
        assert number in (done + 1, done + 2)
        assert living(found) == expected[number - 1]
        # What was acknowledged before can be rolled back to, and writing goes on.
        for version in state.acknowledged:
            assert living(found, version) == expected[int(version[:8]) - 1]
        staging.sweep(found)
        part = write_part(found, ["z"])
        write_version(found, [part])
        assert living(found) == ["z"]

    assert every_state(record(collection, run), memory, check) > 40


def test_activate_and_roll_back(collection: Path, memory: Path) -> None:
    second = write_version(collection, [write_part(collection, ["x"])])

    def run(recording: Recording) -> None:
        versions.activate(collection, versions.resolve(collection, "1"))
        recording.acknowledge("1")
        versions.activate(collection, second.id)
        recording.acknowledge("2")

    def check(found: Path, state: State) -> None:
        number = versions.read(found).number
        assert number in {(): (2, 1), ("1",): (1, 2), ("1", "2"): (2,)}[state.acknowledged]
        assert living(found) == ([["a", "b"], ["x"]][number - 1])

    assert every_state(record(collection, run), memory, check) > 5


def test_a_snapshot_is_the_one_before_or_the_new_one(collection: Path, memory: Path) -> None:
    backup = memory / "backup"
    snapshot(collection, str(backup))
    write_version(collection, [*versions.read(collection).parts, write_part(collection, ["c"])])

    def run(recording: Recording) -> None:
        snapshot(collection, str(backup))
        recording.acknowledge("taken")

    def check(found: Path, state: State) -> None:
        whole = living(found)
        assert whole == ["a", "b", "c"] or (whole == ["a", "b"] and not state.acknowledged)
        snapshot(collection, str(found))
        assert living(found) == ["a", "b", "c"]

    assert every_state(record(backup, run), memory, check) > 20


def test_a_restore_is_whole_or_did_not_happen(collection: Path, memory: Path) -> None:
    backup, target = memory / "backup", memory / "target"
    snapshot(collection, str(backup))
    target.mkdir()

    def run(recording: Recording) -> None:
        restore(target, str(backup))
        recording.acknowledge("restored")

    def check(found: Path, state: State) -> None:
        if state.acknowledged or versions.newest(found):
            assert living(found) == ["a", "b"]
        restore(found, str(backup))
        assert living(found) == ["a", "b"]

    assert every_state(record(target, run), memory, check) > 20


def test_what_was_ingested_stays(memory: Path) -> None:
    path = memory / "features"
    streams = {"frames": Stream(4, 1.0)}
    rows = {name: np.full((3, 4), place, np.float16) for place, name in enumerate("abc")}
    with FeatureStore.create(path, streams) as store:
        store.append("a", {"frames": rows["a"]})

    def run(recording: Recording) -> None:
        with FeatureStore.open(path, "a") as store:
            for name in "bc":
                store.append(name, {"frames": rows[name]})
                recording.acknowledge(name)
            store.forget("a")
            recording.acknowledge("-a")

    def check(found: Path, state: State) -> None:
        store = FeatureStore.open(found)
        promised = {"a", *state.acknowledged} - {"-a"} - ({"a"} if "-a" in state.acknowledged else set())
        assert promised - set(store.ids()) <= {"a"}
        assert "-a" not in state.acknowledged or "a" not in store.ids()
        for name in store.ids():
            assert np.array_equal(store.rows(name, "frames"), rows[name])
        with FeatureStore.open(found, "a") as writer:
            writer.append("d", {"frames": rows["a"]})
        assert "d" in FeatureStore.open(found).ids()

    assert every_state(record(path, run), memory, check) > 10
