"""Killed anywhere, done again and acknowledged, then a power cut: what the first one left unsynced counts."""

import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from engine import versions
from engine.version_lock import only_writer
from tests.power_cut import Recording, State
from tests.trainer.library.cuts import every_state, record
from tests.trainer.library.living import collection, copied, ingested, ranked, store
from tests.trainer.library.looking import BUILT, NEW, Looking
from trainer.generation.build import BuildConfig, build
from trainer.library.adding import add
from trainer.library.deleting import delete
from trainer.library.kits import Kits


@pytest.fixture(scope="module")
def built(memory_of_module: Path) -> Path:
    path = memory_of_module / "built"
    ranked(path)
    return collection(path, BUILT, shards=1)


def steps(path: Path) -> Mapping[str, Callable[[], object]]:
    return {
        "add": lambda: add(path, NEW, Kits("cpu")),
        "delete": lambda: delete(path, ["b"], again=True),
        "build": lambda: build(BuildConfig(collection=path, device="cpu", shards=2)),
        "ingest": lambda: ingested_once(path),
    }


def ingested_once(path: Path) -> None:
    """Put videos into the feature store that are not there."""
    with store(path) as features:
        there = set(features.ids())
    ingested(path, {video: content for video, content in NEW.items() if video not in there})


def done_again(path: Path, step: str, killed_after: int) -> Recording:
    """Do a step that is killed after so many operations, then do it again, as another process."""

    def once() -> None:
        with contextlib.nullcontext() if step == "build" else only_writer(path):
            steps(path)[step]()

    def run(recording: Recording) -> None:
        with recording.killed(killed_after):
            once()
        once()
        recording.acknowledge("done")

    return record(path, run)


@pytest.mark.parametrize("step", ["add", "delete", "build", "ingest"])
@pytest.mark.parametrize(
    "kills", [pytest.param(3, id="some"), pytest.param(0, id="all", marks=pytest.mark.nightly)]
)
def test_what_a_killed_process_left_unsynced_is_synced_by_the_next_one(
    built: Path, memory: Path, kills: int, step: str
) -> None:
    after = {**BUILT, **NEW}
    left = {video: content for video, content in after.items() if video != "b"}
    served = {"add": after, "delete": left, "build": after, "ingest": BUILT}[step]
    ready = copied(built, memory / "ready")
    if step != "ingest":
        ingested(ready, NEW)
    if step == "delete":
        add(ready, NEW, Kits("cpu"))
    operations = done_again(copied(ready, memory / "c"), step, 0).operations
    for number in range(1, operations, max(1, operations // kills if kills else 1)):
        home = memory / str(number)
        home.mkdir()
        path = copied(ready, home / "c")
        recording = done_again(path, step, operations - number)
        look = Looking(path, {versions.read(path).number: served})

        def check(found: Path, state: State, look: Looking = look) -> None:
            look.whole(found)
            look.stores(found, left if step == "delete" else after)

        every_state(recording, home, check, begin=recording.operations - 1)
