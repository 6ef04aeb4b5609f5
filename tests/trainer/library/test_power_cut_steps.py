"""A power cut at any file operation of the writer's steps, on a collection as it is built.

Every state opens whole: all bytes of all versions, features and models as they were written, the answers and
features those of the videos that its version says, nothing that was acknowledged lost; and writing goes on.
"""

from pathlib import Path

import pytest

from engine import versions
from tests.power_cut import Recording, State
from tests.trainer.generation.old import as_generation
from tests.trainer.library.cuts import HOW_MANY, every_state, record
from tests.trainer.library.living import (
    collection,
    copied,
    ingested,
    ranked,
)
from tests.trainer.library.looking import BUILT, NEW, Looking
from trainer.generation.build import BuildConfig, build
from trainer.generation.garbage import collect_garbage
from trainer.generation.migrate import migrate
from trainer.library.adding import add
from trainer.library.compacting import compact
from trainer.library.deleting import delete
from trainer.library.kits import Kits
from trainer.library.purging import purge
from trainer.library.restore import restore
from trainer.library.snapshot import snapshot
from trainer.library.verify import verify


@pytest.fixture(scope="module")
def built(memory_of_module: Path) -> Path:
    path = memory_of_module / "built"
    ranked(path)
    return collection(path, BUILT, shards=1)


@pytest.fixture
def path(built: Path, memory: Path) -> Path:
    return copied(built, memory / "c")


@pytest.mark.parametrize("most", HOW_MANY)
def test_add_delete_and_compact(path: Path, memory: Path, most: int) -> None:
    ingested(path, NEW)
    after = {**BUILT, **NEW}
    left = {video: content for video, content in after.items() if video != "b"}
    look = Looking(path, {1: BUILT, 2: after, 3: left, 4: left})

    def run(recording: Recording) -> None:
        add(path, NEW, Kits("cpu"))
        recording.acknowledge("added")
        delete(path, ["b"])
        recording.acknowledge("deleted")
        compact(path)
        recording.acknowledge("merged")

    def check(found: Path, state: State) -> None:
        done = 1 + len(state.acknowledged)
        assert look.whole(found) in (done, done + 1)
        look.stores(found, *([left] if done >= 3 else [after, left]))
        look.goes_on(found)

    assert every_state(record(path, run), memory, check, most) >= (most or 200)


@pytest.mark.parametrize("most", HOW_MANY)
def test_purge(path: Path, memory: Path, most: int) -> None:
    delete(path, ["b"])
    left = {video: content for video, content in BUILT.items() if video != "b"}
    look = Looking(path, {1: BUILT, 2: left, 3: left})

    def run(recording: Recording) -> None:
        purge(path)
        recording.acknowledge("purged")

    def check(found: Path, state: State) -> None:
        assert look.whole(found) in ((3,) if state.acknowledged else (2, 3))
        look.stores(found, left)
        assert not state.acknowledged or versions.numbers(found) == [3]
        look.goes_on(found)

    assert every_state(record(path, run), memory, check, most) >= (most or 100)


@pytest.mark.parametrize("most", HOW_MANY)
def test_roll_back_and_collect_garbage(path: Path, memory: Path, most: int) -> None:
    ingested(path, NEW)
    add(path, NEW, Kits("cpu"))
    versions.activate(path, versions.resolve(path, "1"))
    delete(path, ["b"])
    left = {video: content for video, content in BUILT.items() if video != "b"}
    look = Looking(path, {1: BUILT, 2: {**BUILT, **NEW}, 3: left})

    def run(recording: Recording) -> None:
        versions.activate(path, versions.resolve(path, "1"))
        recording.acknowledge("1")
        collect_garbage(path, 1)
        recording.acknowledge("collected")

    def check(found: Path, state: State) -> None:
        assert look.whole(found) in ((1,) if state.acknowledged else (1, 3))
        # The largest number stays, so that none is given twice.
        assert len(state.acknowledged) < 2 or versions.numbers(found) == [1, 3]
        collect_garbage(found, 1)
        assert verify(found) == []
        look.goes_on(found)

    assert every_state(record(path, run), memory, check, most) >= (most or 40)


@pytest.mark.parametrize("most", HOW_MANY)
def test_snapshot_of_a_snapshot(path: Path, memory: Path, most: int) -> None:
    backup = memory / "backup"
    backup.mkdir()
    ingested(path, NEW)
    add(path, NEW, Kits("cpu"))
    after = {**BUILT, **NEW}
    look = Looking(path, {1: BUILT, 2: after})

    def run(recording: Recording) -> None:
        for version in ("1", "2"):
            snapshot(path, str(backup), version)
            recording.acknowledge(version)

    def check(found: Path, state: State) -> None:
        if state.acknowledged or versions.newest(found):
            assert look.whole(found) in ((1, 2) if state.acknowledged != ("1", "2") else (2,))
        snapshot(path, str(found))
        assert look.whole(found) == 2

    assert every_state(record(backup, run), memory, check, most) >= (most or 100)


@pytest.mark.parametrize("most", HOW_MANY)
def test_restore_with_the_feature_store(path: Path, memory: Path, most: int) -> None:
    backup, target = memory / "backup", memory / "target"
    snapshot(path, str(backup))
    target.mkdir()
    look = Looking(path, {1: BUILT})

    def run(recording: Recording) -> None:
        restore(target, str(backup))
        recording.acknowledge("restored")

    def check(found: Path, state: State) -> None:
        if state.acknowledged or versions.newest(found):
            assert look.whole(found) == 1
            look.stores(found, BUILT)
        restore(found, str(backup))
        assert look.whole(found) == 1
        look.stores(found, BUILT)
        look.goes_on(found)

    assert every_state(record(target, run), memory, check, most) >= (most or 100)


@pytest.mark.parametrize("most", HOW_MANY)
def test_build(path: Path, memory: Path, most: int) -> None:
    ingested(path, NEW)
    after = {**BUILT, **NEW}
    look = Looking(path, {1: BUILT, 2: after})
    config = BuildConfig(collection=path, device="cpu", shards=2)

    def run(recording: Recording) -> None:
        build(config)
        recording.acknowledge("built")

    def check(found: Path, state: State) -> None:
        assert look.whole(found) in ((2,) if state.acknowledged else (1, 2))
        look.goes_on(found)

    assert every_state(record(path, run), memory, check, most) >= (most or 100)


@pytest.mark.parametrize("most", HOW_MANY)
def test_first_features_and_first_build(memory: Path, most: int) -> None:
    path = memory / "c"
    path.mkdir()
    look: list[Looking] = []

    def run(recording: Recording) -> None:
        ingested(path, BUILT)
        recording.acknowledge("ingested")
        build(BuildConfig(collection=path, device="cpu"))
        recording.acknowledge("built")

    recording = record(path, run)
    look.append(Looking(path, {1: BUILT}))

    def check(found: Path, state: State) -> None:
        if state.acknowledged:
            look[0].stores(found, BUILT)
        if "built" in state.acknowledged or versions.newest(found):
            look[0].whole(found)
        ingested(found, BUILT)
        build(BuildConfig(collection=found, device="cpu"))
        assert look[0].whole(found)

    assert every_state(recording, memory, check, most) >= (most or 60)


@pytest.mark.parametrize("most", HOW_MANY)
def test_migrate(path: Path, memory: Path, most: int) -> None:
    as_generation(path, 2)
    look: list[Looking] = []

    def run(recording: Recording) -> None:
        migrate(path)
        recording.acknowledge("migrated")

    recording = record(path, run)
    look.append(Looking(path, {1: BUILT}))

    def check(found: Path, state: State) -> None:
        if state.acknowledged or versions.newest(found):
            assert look[0].whole(found) == 1
        migrate(found)
        assert look[0].whole(found) == 1
        look[0].goes_on(found)

    assert every_state(recording, memory, check, most) >= (most or 60)
