"""Full disks, files taken away, clocks set back: one sentence, nothing lost, and it goes on afterwards."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from engine import parts, places, versions
from engine.corpus import open_corpus
from engine.errors import SprError
from engine.files import refusal_of
from engine.version_lock import held
from spr.v1.admin_service_pb2 import DeleteVideos, SubmitJobRequest
from tests.trainer.generation.test_disk import largest_file
from tests.trainer.library.living import (
    QUERIES,
    Content,
    Searcher,
    collection,
    copied,
    features_of,
    ingested,
    living,
    ranked,
    store,
)
from trainer.generation.garbage import Garbage, collect_garbage
from trainer.library.adding import add
from trainer.library.compacting import compact
from trainer.library.deleting import delete
from trainer.library.jobs import Queue
from trainer.library.kits import Kits
from trainer.library.restore import restore
from trainer.library.snapshot import snapshot
from trainer.library.tasks import Outcome
from trainer.library.verify import verify

BUILT: dict[str, Content] = {"b": (2, 5), "d": (4, 9)}
NEW: dict[str, Content] = {"c": (6, 6)}
Step = Callable[[Path], object]


def ingest_and_add(path: Path) -> None:
    ingested(path, NEW)
    add(path, NEW, Kits("cpu"))


STEPS: dict[str, tuple[Step, dict[str, Content]]] = {
    "ingest and add": (ingest_and_add, {**BUILT, **NEW}),
    "delete": (lambda path: delete(path, ["b"]), {"d": BUILT["d"]}),
    "compact": (compact, BUILT),
}


@pytest.fixture(scope="module")
def built(memory_of_module: Path) -> Path:
    path = memory_of_module / "c"
    ranked(path)
    collection(path, {"b": BUILT["b"]}, shards=1)
    ingested(path, BUILT)
    add(path, BUILT, Kits("cpu"))
    return path


@pytest.fixture
def path(built: Path, memory: Path) -> Path:
    return copied(built, memory / "c")


def refused(step: Step, path: Path) -> str:
    """Return the sentence that a step ends with, as the command line and the service tell it."""
    try:
        step(path)
        return ""
    except SprError as error:
        said = str(error)
    except OSError as error:
        said = str(refusal_of(error) or f"{error!r} is no sentence\n")
    assert "\n" not in said
    return said


def has(path: Path, videos: dict[str, Content]) -> None:
    assert verify(path) == []
    assert (found := Searcher(path)).features(found.corpus()) == features_of(videos)


@pytest.mark.parametrize("name", STEPS)
def test_on_a_full_disk_a_step_ends_in_a_sentence_and_is_done_when_there_is_room(
    path: Path, memory: Path, name: str
) -> None:
    step, then = STEPS[name]
    made = copied(path, memory / "made")
    before = {file.relative_to(path) for file in path.rglob("*")}
    step(made)
    written = [file for file in made.rglob("*") if file.is_file() and file.relative_to(made) not in before]
    sizes = sorted({file.stat().st_size for file in [*written, made / "CURRENT"]})
    (features,) = (path / "features").iterdir()
    sizes += [(features / "journal.jsonl").stat().st_size + 1, (features / "frames.bin").stat().st_size + 1]
    stopped = 0
    for size in sizes:
        with largest_file(size - 1):
            said = refused(step, path)
        stopped += "cannot be written" in said or "make" in said
        # All or nothing of it was done.
        assert living(path) in (sorted(BUILT), sorted(then))
        assert verify(path) == []
    assert stopped > 2
    if name != "delete" or "b" in store(path, "r"):
        step(path)
    has(path, then)


def test_where_nobody_may_write_a_step_ends_in_a_sentence(path: Path, plain_user: None) -> None:
    for folder, names in (("parts", ["compact"]), ("versions", STEPS), (".", STEPS)):
        (path / folder).chmod(0o555)
        for name in names:
            said = refused(STEPS[name][0], path)
            assert "cannot be" in said, f"{folder}: {name} says {said!r}"
        (path / folder).chmod(0o755)
        has(path, BUILT)
    compact(path)
    has(path, BUILT)


def test_current_that_names_a_missing_version_is_told_and_set_right(path: Path, memory: Path) -> None:
    whole = versions.current(path)
    (path / "CURRENT").write_text("00000009-0123456789ab\n")
    steps: dict[str, Step] = {
        **{name: step for name, (step, _) in STEPS.items()},
        "gc": lambda path: collect_garbage(path, 1),
        "snapshot": lambda path: snapshot(path, str(memory / "backup")),
    }
    for name, step in steps.items():
        assert "00000009" in refused(step, path), name
    versions.activate(path, whole)
    has(path, BUILT)
    assert versions.numbers(path) == [1, 2]


def test_a_part_that_is_taken_away_is_named_and_comes_back_from_a_snapshot(path: Path, memory: Path) -> None:
    snapshot(path, str(memory / "backup"))
    searcher = Searcher(path)
    corpus = searcher.corpus()
    answers = searcher.answers(corpus, 100)
    gone = corpus.version.parts[0].id
    shutil.rmtree(parts.directory(path, gone))
    # Who has it open has it still.
    assert [hits.scores.tolist() for hits in searcher.held[0].search(QUERIES, 100)] == [
        scores for _, _, scores in answers[0]
    ]
    for name, (step, _) in STEPS.items():
        assert gone in refused(step, path), name
    restore(path, str(memory / "backup"))
    has(path, BUILT)
    again = Searcher(path)
    assert again.answers(again.corpus(), 100) == answers


def test_a_snapshot_outlives_the_compaction_beside_it(
    path: Path, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = places.Directory.store
    done: list[Garbage] = []

    def store_while_compacting(self: places.Directory, source: Path, name: str) -> None:
        if not done:
            compact(path)
            done.append(collect_garbage(path, 1))
        real(self, source, name)

    monkeypatch.setattr(places.Directory, "store", store_while_compacting)
    taken, _ = snapshot(path, str(memory / "backup"))
    assert done[0].held == [taken.id]
    has(memory / "backup", BUILT)
    assert collect_garbage(path, 1).held == []
    has(path, BUILT)


def test_garbage_is_not_collected_of_a_version_that_is_being_prepared(path: Path) -> None:
    with held(path, versions.resolve(path, "1")):
        compact(path)
        collect_garbage(path, 1)
        open_corpus(path, "1")
    assert verify(path) == []


def test_jobs_keep_their_order_when_the_clock_is_set_back(
    memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = Queue(memory, "c", 100)
    clock = iter(range(1000, 0, -10))
    monkeypatch.setattr("trainer.library.jobs.time.time", lambda: float(next(clock)))
    names = [f"job-{number}" for number in range(5)]
    for name in names:
        queue.submit(SubmitJobRequest(request_id=name, delete=DeleteVideos(video_ids=[name])))
    order = []
    while tasks := queue.take(64):
        order += [task.id for task in tasks]
        queue.end(tasks[0], Outcome("done"))
    assert order == names
    queue.close()
