"""Real Ray, two raylets: bits as of one machine; whatever is killed, no video is lost, and none is twice."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine import versions
from engine.cores import cores
from tests.trainer.generation.built import collection
from tests.trainer.ingest.factories import regular, write_video
from tests.trainer.ingest.same import check_same
from tests.workers.ranker.factories import TEXTS, tiny_clip, tiny_collection
from trainer.collection.annotations import JudgedMoment, JudgedQuery, save_queries
from trainer.spread.crew import Crew

pytestmark = pytest.mark.nightly
VIDEOS = 60
SPR = [sys.executable, "-m", "spr_cli.main"]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head without cores, and the nodes that tests add."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    yield made
    made.shutdown()


@pytest.fixture
def nodes(cluster: Any) -> Iterator[list[Any]]:
    added = [cluster.add_node(num_cpus=1, object_store_memory=80 << 20) for _ in range(2)]
    cluster.wait_for_nodes()
    yield added
    for node in added:
        if node in cluster.worker_nodes:
            cluster.remove_node(node)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("ray")
    tiny_clip(root / "encoder")
    for number in range(VIDEOS):
        write_video(root / "videos" / f"{number % 7}" / f"v{number // 7}.mp4", regular(6 + number % 3, 10))
    (root / "videos" / "bad.mp4").write_bytes(b"")
    (root / "videos" / "3" / "v2.srt").write_text("1\n00:00:01,000 --> 00:00:02,500\ngood morning\n")
    subprocess.run(ingest(root, root / "whole"), check=False, capture_output=True)
    return root


def ingest(root: Path, into: Path, *more: str) -> list[str]:
    paths = [str(root / "videos"), "--collection", str(into), "--encoder", str(root / "encoder")]
    return [*SPR, "ingest", *paths, *more]


def lines(into: Path) -> Counter[str]:
    """Return how many lines of all journals each video has."""
    journals = into.glob("features/*/**/journal.jsonl")
    told = [
        json.loads(line) for path in journals for line in path.read_bytes().splitlines() if line[-1:] == b"}"
    ]
    return Counter(line["id"] for line in told if "id" in line)


def actors(node: Any) -> list[int]:
    """Return the workers of an ingest on a node."""
    (raylet,) = node.all_processes["raylet"]
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = path.read_text().rsplit(") ", 1)[1].split()[1]
            if (
                parent == str(raylet.process.pid)
                and b"IngestWorker" in (path.parent / "cmdline").read_bytes()
            ):
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


def begun(root: Path, into: Path, address: str) -> "subprocess.Popen[str]":
    """Start an ingest on a cluster; return when some of it is stored."""
    command = ingest(root, into, "--engine", f"ray:{address}", "--json")
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while len(lines(into)) < VIDEOS // 6:
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    assert len(lines(into)) < VIDEOS
    return process


def check_whole(root: Path, into: Path) -> None:
    check_same(into, root / "whole", killed=True)
    counts = lines(into)
    assert (len(counts), set(counts.values())) == (VIDEOS, {1})


class Counting:
    """A worker that counts its cores."""

    def count(self) -> int:
        return cores()


def test_a_worker_uses_its_share_of_a_machine(cluster: Any, nodes: list[Any]) -> None:
    with Crew(cluster.address, Counting) as crew:
        for member in crew.members:
            crew.call(member, "count")
        counted = []
        while crew.calling():
            counted += [crew.take(member) for member in crew.ended()]
    assert counted == [1] * len(nodes)


@pytest.mark.parametrize("killed", ["nothing", "actor", "node"])
def test_an_ingest_ends_as_on_one_machine(
    cluster: Any, nodes: list[Any], world: Path, tmp_path: Path, killed: str
) -> None:
    process = begun(world, tmp_path / "c", cluster.address)
    if killed == "actor":
        for pid in actors(nodes[0]):
            os.kill(pid, signal.SIGKILL)
    elif killed == "node":
        cluster.remove_node(nodes[0], allow_graceful=False)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 1, err
    check_whole(world, tmp_path / "c")
    assert [failure["kind"] for failure in json.loads(out)["failed"]] == ["empty"]
    assert len(list((tmp_path / "c" / "features").glob("*/parts/1/journal.jsonl"))) == 1


def test_after_the_driver_was_killed_the_same_command_goes_on(
    cluster: Any, nodes: list[Any], world: Path, tmp_path: Path
) -> None:
    process = begun(world, tmp_path / "c", cluster.address)
    process.kill()
    process.communicate()
    while any(actors(node) for node in nodes):
        time.sleep(0.1)
    again = ingest(world, tmp_path / "c", "--engine", f"ray:{cluster.address}", "--json")
    done = json.loads(subprocess.run(again, capture_output=True, text=True, check=False).stdout)
    assert done["skipped"] >= VIDEOS // 6
    assert done["ingested"] + done["skipped"] == VIDEOS
    check_whole(world, tmp_path / "c")


def test_an_evaluation_reports_what_one_machine_does(cluster: Any, nodes: list[Any], tmp_path: Path) -> None:
    folder = tiny_collection(tmp_path / "c", trained=True).directory
    moment = JudgedMoment(0, "a", 12.0, 20.0, 40.0, "x", 1.0, 4)
    texts = [f"{text} {number}" for number in range(20) for text in TEXTS]
    save_queries(tmp_path / "t.json", [JudgedQuery(n, text, (moment,)) for n, text in enumerate(texts)])
    runs = []
    for engine in ("local", f"ray:{cluster.address}"):
        out = tmp_path / engine[:3]
        options = [
            "--collection",
            folder,
            "--truth",
            tmp_path / "t.json",
            "--engine",
            engine,
            "--run-out",
            out,
        ]
        subprocess.run([*SPR, "eval", *map(str, options)], check=True, capture_output=True)
        runs.append(out.read_bytes())
    assert runs[0] == runs[1]


def test_a_build_makes_the_parts_of_one_machine(cluster: Any, nodes: list[Any], tmp_path: Path) -> None:
    made = []
    for name, engine in (("a", "local"), ("b", f"ray:{cluster.address}")):
        folder = collection(tmp_path / name / "c", writers=2)
        options = ["--shards", "3", "--index", "IVF4,SQfp16", "--engine", engine]
        subprocess.run([*SPR, "build", str(folder), *options], check=True, capture_output=True)
        made.append([part.id for part in versions.read(folder, "1").parts])
    assert made[0] == made[1]
