"""Several runs, a share of the files each, end as one run: whatever order, at once, or after moves."""

import contextlib
import itertools
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from engine.files import sha256
from tests.trainer.ingest.factories import regular, write_video
from tests.trainer.ingest.levels import OPTIONS, Levels
from tests.trainer.ingest.same import check_same, opened
from trainer.ingest.dealing import deal, hashed
from trainer.ingest.options import IngestOptions
from trainer.ingest.pipeline import ingest
from trainer.ingest.scan import find
from trainer.ingest.summary import Summary
from trainer.ingest.transcripts import Contents
from workers.feature_store.shares import Share
from workers.feature_store.store import FeatureStore, Stream

COUNT = 3
SRT = "1\n00:00:01,000 --> 00:00:02,500\ngood morning\n"


def flat(path: Path, seconds: float) -> Path:
    return write_video(path, regular(seconds, 5), rate=5)


def world(root: Path) -> Path:
    """Files of the same name in several folders, copies, texts, labels, and files that are no video."""
    videos = root / "videos"
    flat(videos / "a" / "x.mp4", 2)
    flat(videos / "b" / "x.mp4", 3)
    flat(videos / "c" / "x.mp4", 4)
    (videos / "c" / "x.mkv").write_bytes(b"no video")
    flat(videos / "d" / "u.mp4", 5)
    shutil.copy(videos / "d" / "u.mp4", videos / "copy.mp4")
    flat(videos / "w.mp4", 3.4).with_suffix(".srt").write_text(SRT)
    flat(videos / "b" / "y.mp4", 2.6).with_suffix(".json").write_text('{"labels": ["red"]}')
    (videos / "bad.mp4").write_bytes(b"")
    return videos


def share(videos: Path, collection: Path, index: int, options: IngestOptions = OPTIONS) -> Summary:
    chosen = replace(options, share=Share(index, COUNT))
    return ingest([videos], collection, Levels(), chosen, lambda *_: None)


def at_once(videos: Path, collection: Path, options: IngestOptions = OPTIONS) -> list[Summary]:
    with ThreadPoolExecutor(COUNT) as runs:
        return list(runs.map(lambda index: share(videos, collection, index, options), range(COUNT)))


def check_told(parts: Sequence[Summary], whole: Summary) -> None:
    def told(summaries: Sequence[Summary]) -> list[object]:
        return [
            sum(summary.ingested for summary in summaries),
            sum(summary.skipped for summary in summaries),
            sum(summary.frames for summary in summaries),
            sorted((failure.path, failure.kind) for summary in summaries for failure in summary.failed),
            sorted(move["now"] for summary in summaries for move in summary.moved),
            sorted(video for summary in summaries for video in summary.gone),
        ]

    assert told(parts) == told([whole])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Summary]:
    """The videos, a collection by one run, what it told."""
    root = tmp_path_factory.mktemp("shares")
    videos = world(root)
    return videos, root / "c", ingest([videos], root / "c", Levels(), OPTIONS, lambda *_: None)


def test_every_file_is_one_runs_and_names_that_clash_are_together(tmp_path: Path) -> None:
    files = find([world(tmp_path)])
    dealt = [deal(files, None, Share(index, COUNT)) for index in range(COUNT)]
    assert sorted(file.path for mine, _ in dealt for file in mine) == [file.path for file in files]
    assert all(len(mine) + len(others) == len(files) for mine, others in dealt)
    assert hashed(Path("/v/x.mp4"), 7) == hashed(Path("/v/x.mkv"), 7)
    # Of no machine and no process: another deal would ingest twice.
    assert [hashed(Path(f"/v/{n}.mp4"), 4) for n in range(8)] == [2, 0, 2, 2, 3, 2, 2, 3]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)])
def test_in_any_order_they_end_as_one_run(
    made: tuple[Path, Path, Summary], tmp_path: Path, order: tuple[int, ...]
) -> None:
    videos, whole, told = made
    summaries = [share(videos, tmp_path / "c", index) for index in order]
    check_same(tmp_path / "c", whole)
    check_told(summaries, told)
    assert sum(summary.ingested > 0 for summary in summaries) > 1
    assert sum("same content as" in each["warning"] for s in summaries for each in s.warnings) == 1
    # Again, by other numbers of runs: nothing is left to do, wherever it lies.
    again = [share(videos, tmp_path / "c", index) for index in order]
    assert sum(summary.ingested for summary in again) == 0
    once = ingest([videos], tmp_path / "c", Levels(), OPTIONS, lambda *_: None)
    assert (once.ingested, once.skipped) == (0, told.ingested)
    check_same(tmp_path / "c", whole)


def test_at_the_same_time_they_end_as_one_run(made: tuple[Path, Path, Summary], tmp_path: Path) -> None:
    videos, whole, told = made
    check_told(at_once(videos, tmp_path / "c"), told)
    check_same(tmp_path / "c", whole)


def test_moves_changes_and_what_is_gone_are_as_with_one_run(tmp_path: Path) -> None:
    videos = world(tmp_path)
    one, parts = tmp_path / "one", tmp_path / "parts"

    def both(options: IngestOptions = OPTIONS) -> None:
        whole = ingest([videos], one, Levels(), options, lambda *_: None)
        check_told(at_once(videos, parts, options), whole)
        check_same(parts, one)

    both()
    (videos / "b").rename(videos / "renamed")
    (videos / "d" / "u.mp4").rename(videos / "e.mp4")
    flat(videos / "w.mp4", 1.8)
    (videos / "a" / "x.json").write_text('{"labels": ["blue"]}')
    both()
    assert opened(parts).ids() == ["a/x", "c/x", "copy", "e", "renamed/x", "w", "y"]
    (videos / "copy.mp4").unlink()
    (videos / "a" / "x.mp4").unlink()
    both()
    flat(videos / "new" / "w.mp4", 2.2)
    (videos / "w.mp4").unlink()
    both(replace(OPTIONS, forget=("w",)))
    assert opened(parts).record("w").uri == (videos / "new" / "w.mp4").as_uri()


def test_a_file_that_may_be_one_of_two_videos_goes_where_its_content_is(tmp_path: Path) -> None:
    """Both are away and of the same size, in parts of different writers."""
    videos, collection = tmp_path / "videos", tmp_path / "c"
    names = [next(n for n in map(str, itertools.count()) if hashed(videos / f"{n}.mp4", COUNT) == part)
             for part in range(COUNT)]  # fmt: skip
    for name in names:
        path = flat(videos / f"{name}.mp4", 2)
        path.write_bytes(path.read_bytes() + name.encode().rjust(8))
    at_once(videos, collection)
    assert [opened(collection).part_of(name) for name in names] == [0, 1, 2]
    for name in names:
        (videos / f"{name}.mp4").rename(videos / f"moved {name}.mp4")
    summaries = at_once(videos, collection)
    assert sorted(move["now"] for s in summaries for move in s.moved) == sorted(f"moved {n}" for n in names)
    assert [opened(collection).part_of(f"moved {name}") for name in names] == [0, 1, 2]


def test_an_id_that_two_runs_gave_at_the_same_time_is_mended_by_the_next_ingest(tmp_path: Path) -> None:
    """They began with different files, and neither saw the other's."""
    videos, path = tmp_path / "videos", tmp_path / "c" / "features" / Levels.fingerprint
    files = [flat(videos / folder / "x.mp4", seconds) for folder, seconds in (("a", 2), ("b", 3))]
    streams = {name: Stream(Levels.dim, 1.0) for name in ("frames", "subtitles")}
    with contextlib.ExitStack() as stack:
        shares = [Share(index, COUNT) for index in range(2)]
        stores = [stack.enter_context(FeatureStore.ensure(path, streams, share=share)) for share in shares]
        for store, file in zip(stores, files, strict=True):
            store.append("x", {}, uri=file.as_uri(), sha256=sha256(file))
    (notice,) = opened(tmp_path / "c").notices
    assert f"two files were given the id 'x' at the same time, {files[0].as_uri()} and" in notice
    at_once(videos, tmp_path / "c")
    found = opened(tmp_path / "c")
    assert ({v: found.record(v).uri for v in found.ids()}, found.notices) == (
        {"x": files[0].as_uri(), "b/x": files[1].as_uri()},
        [],
    )


def test_what_runs_learn_of_files_at_the_same_time_is_kept_of_both(tmp_path: Path) -> None:
    files = [tmp_path / "a.mp4", tmp_path / "b.mp4"]
    both = [Contents(tmp_path / "screen") for _ in files]
    for file, contents in zip(files, both, strict=True):
        file.write_text(file.name)
        contents.of(file)
    for contents in both:
        contents.keep()
    assert [Contents(tmp_path / "screen").known(file) for file in files] == [sha256(file) for file in files]
