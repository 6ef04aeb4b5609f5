"""The supervisor over small programs that speak its line protocol."""

import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from engine import programs
from engine.config import IndexConfig, Topology, parse
from engine.programs import Program
from engine.supervisor import ChildFailed, Status, Supervisor

# Ready at once; ends when its stdin closes, as every worker does.
STEADY = """
import json, sys
print(json.dumps({"ready": True, "role": sys.argv[1], "address": "here"}), flush=True)
if sys.argv[1] == "coordinator":
    print(json.dumps({"healthy": True}), flush=True)
sys.stdin.read()
"""
# Crashes in its first life, after it was ready; in the second it ends the test.
CRASHES_ONCE = """
import json, os, signal, sys
from pathlib import Path
mark = Path(sys.argv[2])
print(json.dumps({"ready": True}), flush=True)
if not mark.exists():
    mark.touch()
    os._exit(7)
os.kill(os.getppid(), signal.SIGTERM)
sys.stdin.read()
"""
REFUSES = """
import json, sys
print(json.dumps({"ready": False, "error": "the file is bad; fetch another", "exit_code": 3}), flush=True)
sys.exit(3)
"""


def program(code: str, role: str, name: str, *arguments: str) -> Program:
    return Program(role, name, (sys.executable, "-c", code, role, *arguments, "--listen", "h:1"), {})


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def test_everything_starts_is_told_once_and_stops_on_a_signal() -> None:
    told: list[dict[str, Any]] = []
    seen: list[Status] = []

    def ready(line: dict[str, Any]) -> None:
        told.append(line)
        os.kill(os.getpid(), signal.SIGINT)

    names = ["ranker-0", "shard-00000", "coordinator"]
    roles = ["ranker", "index", "coordinator"]
    programs = [program(STEADY, role, name) for role, name in zip(roles, names, strict=True)]
    Supervisor(programs, ready, seen.append).run()
    assert [line["address"] for line in told] == ["here"]
    assert set(told[0]["pids"]) == {"ranker-0", "shard-00000@h:1", "coordinator"}
    assert not any(alive(pid) for pid in told[0]["pids"].values())
    assert set(seen[0].states.values()) == {"starting"}
    assert set(seen[-1].states.values()) == {"ready"}


def test_what_dies_is_started_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    crashing = program(CRASHES_ONCE, "index", "shard-00000", str(tmp_path / "mark"))
    supervisor = Supervisor([crashing, program(STEADY, "coordinator", "coordinator")], lambda _: None)
    supervisor.run()
    assert "shard-00000@h:1 ended (exit code 7); again in 0.25 s" in caplog.text
    assert supervisor.children[0].wait == 0.5


def test_a_start_that_fails_ends_all_with_its_reason() -> None:
    steady = program(STEADY, "ranker", "ranker-0")
    supervisor = Supervisor([steady, program(REFUSES, "index", "shard-00000")], lambda _: None)
    with pytest.raises(ChildFailed, match="shard-00000@h:1: the file is bad; fetch another") as caught:
        supervisor.run()
    assert caught.value.exit_code == 3
    assert not any(alive(pid) for pid in supervisor.pids().values())


def test_a_crash_at_the_start_is_not_tried_again() -> None:
    with pytest.raises(ChildFailed, match="exit code 9 before it was ready") as caught:
        Supervisor([program("raise SystemExit(9)", "index", "shard-00000")], lambda _: None).run()
    assert caught.value.exit_code == 9


def test_signals_are_handled_as_before_afterwards() -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(ChildFailed):
        Supervisor([program("raise SystemExit(9)", "index", "shard-00000")], lambda _: None).run()
    assert signal.getsignal(signal.SIGINT) is before


def topology() -> Topology:
    values = {"collection": "here", "index": [{"shard": 0, "listen": "h:1"}], "ranker": [{"listen": "h:2"}]}
    return parse(values, Path("topology.toml"))


@pytest.mark.parametrize("given", [None, ""])
def test_what_the_operator_sets_goes_before_our_way_to_poll(
    given: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GRPC_EXPERIMENTS", raising=False)
    if given is not None:
        monkeypatch.setenv("GRPC_EXPERIMENTS", given)
    worker = IndexConfig(shard=0, listen="h:1", threads=3)
    environment = programs.program(topology(), "index", worker).environment
    assert environment == {"OMP_NUM_THREADS": "3"} | (programs.POLLING if given is None else {})
