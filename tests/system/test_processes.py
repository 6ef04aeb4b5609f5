"""How processes start, fail to start, and end."""

import json
import random
import shutil
import signal
import subprocess
import urllib.request
from pathlib import Path

import pytest
from click.testing import CliRunner

from engine import parts, versions
from spr_cli import search
from tests.forked import Supervisor
from tests.system.service import alive, launch, running, until, write_topology
from tests.system.world import SPR
from tests.workers.ranker.factories import TEXTS


def test_a_collection_is_served_without_a_topology_and_dies_with_its_supervisor(
    collection: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    # It takes ports around this one: all below those of `free_ports`.
    port = str(random.randrange(7_600, 10_800))
    ready_file = tmp_path / "ready.json"
    options = ("--collection", str(collection), "--port", port, "--ready-file", str(ready_file))
    with running(tmp_path / "log", *options, start=launch) as service:
        assert json.loads(ready_file.read_text()) == service.ready
        assert service.address == f"127.0.0.1:{port}"
        assert service.ready["metrics"] == f"127.0.0.1:{int(port) + 1000}"
        with urllib.request.urlopen(f"http://{service.ready['metrics']}/healthz", timeout=60) as answer:
            assert answer.read() == b"serving\n"
        assert service.ready["generation"] == versions.current(collection)
        found = CliRunner().invoke(search.command, [TEXTS[0], "--address", service.address, "--top", "1"])
        assert "video-0" in found.stdout
        service.process.kill()
        service.process.wait(timeout=300)
        until(lambda: not any(alive(pid) for pid in service.ready["pids"].values()))
    assert list(temporary.iterdir()) == []
    # With --json stderr holds logs alone.
    assert all(json.loads(line)["logger"] for line in service.log.read_text().splitlines())


def test_a_damaged_shard_stops_the_start_with_its_sentence(collection: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(collection, tmp_path / "collection")
    index = parts.directory(copy, versions.read(copy).parts[1].id) / "index" / "index.faiss"
    index.chmod(0o644)
    index.write_bytes(index.read_bytes()[:-1] + b"x")
    topology = write_topology(tmp_path / "topology.toml", copy)
    with Supervisor(tmp_path / "log", str(topology), "--json") as process:
        assert process.wait(timeout=300) == 3
        assert process.stdout.read() == ""
    # With --json every line on stderr is one of the log, the last words too.
    said = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()][-1]
    assert (said["level"], said["logger"]) == ("error", "spr.serve")
    assert said["message"].startswith("shard-00001@127.0.0.1:")
    assert "index.faiss has SHA-256" in said["message"]


def test_one_worker_runs_in_the_foreground(collection: Path, tmp_path: Path) -> None:
    topology = write_topology(tmp_path / "topology.toml", collection)
    options = ("index", "--config", str(topology), "--name", "shard-00001", "--listen", "127.0.0.1:0")
    with launch(tmp_path / "log", *options) as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        assert (ready["ready"], ready["role"], ready["shard"]) == (True, "index", "shard-00001")
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=300) == 0


def test_a_worker_that_the_topology_does_not_name_is_refused(collection: Path, tmp_path: Path) -> None:
    topology = write_topology(tmp_path / "topology.toml", collection)
    command = [*SPR, "serve", "index", "--config", str(topology), "--name", "shard-00009"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 2
    assert "does not name one worker; there are: shard-00000 at" in done.stderr
