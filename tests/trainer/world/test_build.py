"""Real files: the same bytes whoever renders them, resumable, readable, as annotated."""

import errno
import fcntl
import hashlib
import json
import multiprocessing
import os
import signal
import threading
from pathlib import Path

import av
import pytest
from click.testing import CliRunner

from engine.errors import InvalidInput, Unavailable
from spr_cli.main import cli
from trainer.collection.annotations import load_corpus
from trainer.ingest.sidecars import read_sidecar
from trainer.world.build import Finished, build_world
from trainer.world.plan import FPS, SIZE, SPLITS
from trainer.world.planner import plan_video

# A seed of short videos.
VIDEOS, SEED = 4, 16


def hashes(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("world") / "deep"
    build_world(out, VIDEOS, SEED, workers=1)
    return out


def test_workers_do_not_change_a_byte(world: Path, tmp_path: Path) -> None:
    runner = CliRunner()
    arguments = ["corpus", "render", str(tmp_path), "--videos", str(VIDEOS), "--seed", str(SEED)]
    result = runner.invoke(cli, [*arguments, "--workers", "2", "--json"])
    assert result.exit_code == 0, result.output
    assert hashes(tmp_path) == hashes(world)
    told = json.loads(result.stdout)
    assert told["rendered"] == told["videos"] == VIDEOS
    assert {split: len(told["splits"][split]) for split in SPLITS} == {"train": 2, "val": 1, "test": 1}


def test_files_are_as_annotated(world: Path) -> None:
    durations: dict[str, float] = {}
    for split in SPLITS:
        durations |= load_corpus(world / f"annotations/corpus_{split}.json")
    assert len(durations) == VIDEOS
    for name, duration in durations.items():
        with av.open(str(world / f"videos/{name}.mp4")) as container:
            stream = container.streams.video[0]
            assert stream.codec_context.name == "h264"
            assert (stream.width, stream.height) == (SIZE, SIZE)
            assert container.duration == pytest.approx(duration * 1e6, abs=1000)
            times = [frame.time for frame in container.decode(stream)]
        assert times == pytest.approx([k / FPS for k in range(round(duration * FPS))])


def test_subtitles_are_the_spoken_lines(world: Path) -> None:
    plans = [plan_video(SEED, index) for index in range(VIDEOS)]
    assert {plan.subtitled for plan in plans} == {True, False}
    for plan in plans:
        path = world / f"videos/{plan.name}.srt"
        assert path.exists() == plan.subtitled
        if plan.subtitled:
            read = [(round(1000 * c.start), round(1000 * c.end), c.text) for c in read_sidecar(path).cues]
            assert read == [(round(1000 * s.start), round(1000 * s.end), s.text) for s in plan.lines]
            assert read[-1][1] <= 1000 * plan.duration


def test_finished_videos_are_kept_and_harmed_ones_are_made_again(world: Path) -> None:
    before = hashes(world)
    victims = [world / "videos/video_00001.mp4", world / "videos/video_00002.mp4"]
    victims[0].write_bytes(victims[0].read_bytes()[:5000])
    victims[1].unlink()
    left_over = world / "videos/.video_00001.mp4.1.partial"
    left_over.write_bytes(b"killed")
    done: list[Finished] = []
    build_world(world, VIDEOS, SEED, workers=1, progress=lambda finished, total: done.append(finished))
    assert {finished.video for finished in done if finished.rendered} == {path.stem for path in victims}
    assert hashes(world) == before


def test_worlds_do_not_mix(world: Path) -> None:
    with pytest.raises(InvalidInput, match=f"a world of seed {SEED}, not 12"):
        build_world(world, VIDEOS, 12, workers=1)
    with pytest.raises(InvalidInput, match="1 videos more than asked for"):
        build_world(world, VIDEOS - 1, SEED, workers=1)


def test_one_process_renders_into_a_directory_and_a_share_without_locks_takes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    def again(finished: Finished, total: int) -> None:
        with pytest.raises(Unavailable, match=r"another process renders into .*; wait for it to end"):
            build_world(tmp_path, 1, SEED, workers=1)

    build_world(tmp_path, 1, SEED, workers=1, progress=again)
    monkeypatch.setattr(fcntl, "flock", without)
    build_world(tmp_path, 1, SEED, workers=1)


def test_a_larger_world_keeps_the_smaller_ones_videos(world: Path, tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    for path in (world / "videos").iterdir():
        os.link(path, tmp_path / "videos" / path.name)
    done: list[Finished] = []
    build_world(tmp_path, VIDEOS + 1, SEED, workers=1, progress=lambda finished, total: done.append(finished))
    assert [finished.rendered for finished in done] == [False] * VIDEOS + [True]


def test_one_that_is_stopped_does_not_wait_for_films_in_the_making(tmp_path: Path) -> None:
    def stop(finished: Finished, total: int) -> None:
        raise KeyboardInterrupt

    others, threads = set(multiprocessing.active_children()), set(threading.enumerate())
    with pytest.raises(KeyboardInterrupt):
        build_world(tmp_path, 2 * VIDEOS, SEED, workers=2, progress=stop)
    films = set(multiprocessing.active_children()) - others
    # The pool's own thread waits for them too; while it does, nobody else is told how they ended.
    for thread in set(threading.enumerate()) - threads:
        thread.join(60)
    for child in films:
        child.join(60)
        assert child.exitcode == -signal.SIGTERM
    assert len([*(tmp_path / "videos").glob("*.mp4")]) <= 2


def test_the_command_says_how_to_go_on_when_it_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("trainer.world.build.build_world", stop)
    result = CliRunner().invoke(cli, ["corpus", "render", str(tmp_path)])
    assert result.exit_code == 130
    assert result.stderr == "spr: stopped; finished videos are kept, the same command goes on there.\n"


def test_one_video_is_a_world(tmp_path: Path) -> None:
    world = build_world(tmp_path, 1, SEED, workers=1)
    assert world["splits"] == {"train": ["video_00000"], "val": [], "test": []}
    assert world["queries"] == {"train": 9, "val": 0, "test": 0}
    assert load_corpus(tmp_path / "annotations/corpus_test.json") == {}
