"""`spr ingest` with a real CLIP: a process killed in the middle, resumed, and its exit codes."""

import json
import os
import re
import signal
import subprocess
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from click.testing import CliRunner, Result

from engine.errors import SprError
from spr_cli import ingest_files
from spr_cli.ingest import command
from tests import apart
from tests.trainer.ingest.factories import regular, write_video
from tests.workers.ranker.factories import tiny_clip
from workers.feature_store.shares import Share
from workers.feature_store.store import FeatureStore

VIDEOS = 24
DEPLOY = Path(__file__).parents[3] / "deploy"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("world")
    tiny_clip(root / "encoder")
    first = write_video(root / "videos" / "v00.mp4", regular(10, 10), size=(160, 120))
    for index in range(1, VIDEOS):
        (root / "videos" / f"v{index:02d}.mp4").write_bytes(first.read_bytes())
    (root / "videos" / "v01.srt").write_text("1\n00:00:02,000 --> 00:00:04,000\na red ball\n")
    return root


@pytest.fixture(scope="module")
def whole(world: Path) -> tuple[Path, dict[str, Any]]:
    """A collection that one run made, and what it told."""
    told = spr_ingest(world, world / "whole", str(world / "videos"), "--json").stdout
    return world / "whole", json.loads(told)


def arguments(world: Path, collection: Path, *more: str) -> list[str]:
    return ["--collection", str(collection), "--encoder", str(world / "encoder"), *more]


def spr_ingest(world: Path, collection: Path, *more: str) -> Result:
    return CliRunner().invoke(command, arguments(world, collection, *more))


def journal_lines(collection: Path) -> int:
    journals = collection.glob("features/*/**/journal.copy.jsonl")
    return sum(path.read_bytes().count(b"\n") for path in journals)


def end_after_two_videos(
    world: Path, collection: Path, ending: signal.Signals, *more: str
) -> tuple[int, str]:
    """Send a signal to an ingest and all its processes; return its exit code and what it said."""
    log = collection.with_name("log")
    given = ["ingest", str(world / "videos"), "--batch-size", "4", *arguments(world, collection, *more)]
    victim = apart.start(log, apart.spr, *given)
    tick = threading.Event()
    while journal_lines(collection) < 2:
        assert victim.is_alive(), log.read_text()
        # Polling competes with the process for the cores; it stores a video in about this time.
        tick.wait(0.005)
    assert victim.pid is not None
    os.killpg(victim.pid, ending)
    return apart.ended(victim), log.read_text()


def check_same(resumed: FeatureStore, expected: FeatureStore) -> None:
    assert resumed.ids() == expected.ids()
    for video in resumed.ids():
        found, wanted = ({**store.record(video).info, "added": 0} for store in (resumed, expected))
        assert found == wanted
        for stream in ("frames", "subtitles"):
            ours, theirs = resumed.rows(video, stream), expected.rows(video, stream)
            np.testing.assert_array_equal(ours, theirs)


def test_a_killed_ingest_resumes_and_ends_as_an_unbroken_one(
    world: Path, whole: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    videos, broken = str(world / "videos"), tmp_path / "broken"
    unbroken, summary = whole
    assert (summary["ingested"], summary["skipped"], summary["failed"]) == (VIDEOS, 0, [])
    assert summary["frames"] == VIDEOS * 10

    end_after_two_videos(world, broken, signal.SIGKILL)
    (folder,) = broken.glob("features/*")
    survivors = len(FeatureStore.open(folder))
    assert 2 <= survivors < VIDEOS
    summary = json.loads(spr_ingest(world, broken, videos, "--json").stdout)
    assert (summary["ingested"], summary["skipped"]) == (VIDEOS - survivors, survivors)

    resumed = FeatureStore.open(folder)
    check_same(resumed, FeatureStore.open(unbroken / "features" / folder.name))
    row_bytes = resumed.streams["frames"].dim * resumed.dtype.itemsize
    # A kill may leave the rows of one video behind.
    assert (folder / "frames.bin").stat().st_size in (VIDEOS * 10 * row_bytes, (VIDEOS + 1) * 10 * row_bytes)
    assert resumed.rows("v01", "subtitles").any(axis=1).tolist() == [2 <= k < 4 for k in range(10)]


def task(world: Path, collection: Path, number: int, of: int) -> list[str]:
    """Run the Slurm script as a task of an array, `spr` but noting its arguments; return them."""
    folder = collection.with_name("bin")
    folder.mkdir(exist_ok=True)
    (folder / "spr").write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    (folder / "spr").chmod(0o755)
    array = {"SLURM_ARRAY_TASK_ID": str(number), "SLURM_ARRAY_TASK_MAX": str(of - 1)}
    given = [str(world / "videos"), str(collection), str(world / "encoder"), "--batch-size", "4"]
    done = subprocess.run(
        ["bash", str(DEPLOY / "slurm" / "ingest.sbatch"), *given],
        env={"PATH": f"{folder}:{os.environ['PATH']}", **array},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


def test_tasks_of_a_slurm_array_end_as_one_run_although_one_is_killed(
    world: Path, whole: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    collection = tmp_path / "c"
    end_after_two_videos(world, collection, signal.SIGKILL, "--part", "1/2")
    (folder,) = collection.glob("features/*")
    kept = len(FeatureStore.open(folder))
    assert 2 <= kept < VIDEOS
    ingested = kept
    for number in range(2):
        name, *given = task(world, collection, number, 2)
        assert name == "ingest"
        done = CliRunner().invoke(command, [*given, "--json"])
        assert done.exit_code == 0, done.output
        ingested += json.loads(done.stdout)["ingested"]
    assert ingested == VIDEOS
    check_same(FeatureStore.open(folder), FeatureStore.open(whole[0] / "features" / folder.name))


def test_pods_of_the_kubernetes_job_have_a_part_each() -> None:
    job = yaml.safe_load((DEPLOY / "k8s" / "ingest-job.yaml").read_text())["spec"]
    (container,) = job["template"]["spec"]["containers"]
    assert job["completionMode"] == "Indexed"
    shares = []
    for pod in range(job["completions"]):
        name, *given = (text.replace("$(JOB_COMPLETION_INDEX)", str(pod)) for text in container["args"])
        assert name == "ingest"
        shares.append(command.make_context("ingest", given).params["share"])
    assert shares == [Share(pod, job["parallelism"]) for pod in range(job["parallelism"])]


def test_ctrl_c_says_what_was_kept_and_how_to_go_on(world: Path, tmp_path: Path) -> None:
    code, said = end_after_two_videos(world, tmp_path / "c", signal.SIGINT)
    assert code == 130
    (folder,) = (tmp_path / "c").glob("features/*")
    kept = len(FeatureStore.open(folder))
    assert 1 <= kept < VIDEOS
    told = re.search(
        r"^spr: stopped; (\d+) videos? w.* ingested and kept. The same command goes on", said, re.M
    )
    assert told is not None
    # The last one may have been stored and not yet counted.
    assert kept - int(told[1]) in (0, 1)
    assert "Traceback" not in said


def test_what_cannot_be_is_told_before_the_encoder_loads(world: Path, tmp_path: Path) -> None:
    """The encoder named is none: whoever loads it first complains of it."""
    none = ["--collection", str(tmp_path / "c"), "--encoder", str(tmp_path)]
    for given, message in [
        ([str(world / "videos"), "--fps", "0"], "--fps 0 is not between 1e-06 and 60"),
        ([str(tmp_path / "nowhere")], "no such file or folder can be seen"),
        ([str(tmp_path)], "there is no video in"),
    ]:
        result = CliRunner().invoke(command, [*given, *none])
        assert isinstance(result.exception, SprError)
        assert message in str(result.exception)
    assert not (tmp_path / "c").exists()


def test_a_second_run_is_refused_before_anything_is_transcribed(
    whole: tuple[Path, dict[str, Any]], world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(ingest_files, "texts_first", never)
    (store,) = (whole[0] / "features").iterdir()
    with FeatureStore.open(store, "a"):
        refused = spr_ingest(world, whole[0], str(world / "videos"), "--transcribe", "moonshine")
    assert "another process is writing the feature store" in str(refused.exception)


def test_exit_codes_and_messages(world: Path, tmp_path: Path) -> None:
    good, bad = str(world / "videos" / "v00.mp4"), tmp_path / "bad.mp4"
    bad.touch()
    assert spr_ingest(world, tmp_path / "c", good).exit_code == 0
    done = spr_ingest(world, tmp_path / "c", good, str(bad))
    assert done.exit_code == 1
    assert f"failed   {bad}: it is empty (0 bytes)" in done.stdout
    assert "0 ingested, 1 unchanged, 1 failed" in done.stdout
    wrong = spr_ingest(world, tmp_path / "c", good, "--fps", "many")
    assert wrong.exit_code == 2
    assert "'many' is no number" in wrong.stderr


def test_limits_are_lifted_by_options(world: Path, tmp_path: Path) -> None:
    large = str(write_video(tmp_path / "large.mp4", regular(1, 10), size=(160, 120)))
    long = str(write_video(tmp_path / "long.mp4", [0, 4_000_000]))
    refused = spr_ingest(world, tmp_path / "c", large, long, "--max-pixels", "10000", "--json")
    failures = json.loads(refused.stdout)["failed"]
    assert [failure["kind"] for failure in failures] == ["too-large", "too-large"]
    assert "pass --max-pixels 19200" in failures[0]["reason"]
    assert "pass --max-hours 2" in failures[1]["reason"]
    allowed = ["--max-pixels", "19200", "--max-hours", "2"]
    assert spr_ingest(world, tmp_path / "c", large, long, *allowed).exit_code == 0


def test_the_encoder_is_the_collections_own_unless_another_is_named(world: Path, tmp_path: Path) -> None:
    video, more = str(world / "videos" / "v00.mp4"), str(world / "videos" / "v01.mp4")
    alone = ["--collection", str(tmp_path / "c")]
    refused = CliRunner().invoke(command, [video, *alone])
    assert isinstance(refused.exception, SprError)
    assert "--encoder" in str(refused.exception)
    assert not (tmp_path / "c").exists()
    spr_ingest(world, tmp_path / "c", video)
    summary = json.loads(CliRunner().invoke(command, [video, more, *alone, "--json"]).stdout)
    assert (summary["ingested"], summary["skipped"]) == (1, 1)
    assert len(list((tmp_path / "c" / "features").iterdir())) == 1
    tiny_clip(tmp_path / "other", seed=1)
    CliRunner().invoke(command, [video, *alone, "--encoder", str(tmp_path / "other")])
    refused = CliRunner().invoke(command, [video, *alone])
    assert "several encoders: add --encoder" in str(refused.exception)
