"""The supervisor over small programs that speak its line protocol."""

import dataclasses
import json
import os
import re
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from engine import processes
from engine.config import IndexWorkerConfig, Topology, from_json, parse
from engine.logs import Writer
from engine.processes import FIRST_BACKOFF, Program
from engine.supervisor import StartFailed, Status, Supervisor
from tests.engine.children import (
    COMPLAINS,
    CONTENT,
    CRASHES_ONCE,
    DRAINS,
    ENDS_WELL,
    HANGS_ONCE,
    LEAVES,
    NOISY,
    READS,
    REFUSES,
    SETTLES,
    STARTS_AT_LAST,
    STEADY,
)


def program(code: str, role: str, name: str, *arguments: str, listen: str = "h:1") -> Program:
    command = (sys.executable, "-c", code, role, *arguments, "--listen", listen)
    return Program(role, name, command, {}, target="h:1" if role == "index" else "")


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
    assert told[0]["addresses"] == ["here"]
    assert set(told[0]["pids"]) == {"ranker-0", "shard-00000@h:1", "coordinator"}
    assert not any(alive(pid) for pid in told[0]["pids"].values())
    assert set(seen[0].states.values()) == {"starting"}
    assert set(seen[-1].states.values()) == {"ready"}


def test_a_second_interrupt_while_all_drain_leaves_nothing_behind() -> None:
    pids: list[int] = []

    def ready(line: dict[str, Any]) -> None:
        pids.extend(line["pids"].values())
        os.kill(os.getpid(), signal.SIGINT)

    roles = {"ranker-0": "ranker", "shard-00000": "index", "coordinator": "coordinator"}
    Supervisor([program(DRAINS, role, name) for name, role in roles.items()], ready).run()
    assert len(pids) == 3
    assert not any(alive(pid) for pid in pids)


def test_what_dies_is_started_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    crashing = program(CRASHES_ONCE, "index", "shard-00000", str(tmp_path / "mark"))
    supervisor = Supervisor([crashing, program(STEADY, "coordinator", "coordinator")], lambda _: None)
    supervisor.run()
    assert "shard-00000@h:1 ended (exit code 7); restarts in 0.25 s" in caplog.text
    assert supervisor.children[0].backoff == 0.5


def test_one_that_was_told_to_stop_is_started_again_at_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ending = program(ENDS_WELL, "index", "shard-00000", str(tmp_path / "lives"))
    supervisor = Supervisor([ending], lambda _: None)
    supervisor.run()
    assert caplog.text.count("shard-00000@h:1 ended (exit code 0); restarts in 0 s") == 4
    assert supervisor.children[0].backoff == FIRST_BACKOFF


def test_a_coordinator_that_leaves_serves_until_the_next_one_does(tmp_path: Path) -> None:
    Supervisor([program(LEAVES, "coordinator", "coordinator", str(tmp_path))], lambda _: None).run()
    assert (tmp_path / "left").read_text() == "after"


def test_a_worker_that_does_not_answer_is_killed_and_started_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    hanging = program(HANGS_ONCE, "index", "shard-00000", str(tmp_path / "mark"))
    programs = [hanging, program(COMPLAINS, "coordinator", "coordinator")]
    supervisor = Supervisor(programs, lambda _: None, hang_timeout=0.1)
    supervisor.run()
    assert re.search(r"shard-00000@h:1 ended \(hung for \d+ s, killed\); restarts in 0.25 s", caplog.text)


def test_a_worker_that_one_of_two_coordinators_hears_from_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    # Before the content one is ready, the other is the only one to be believed.
    mark = str(tmp_path / "ready")
    content = CONTENT + "    open(__import__('sys').argv[2], 'w').close()\n"
    waits = "import os, sys, time\nwhile not os.path.exists(sys.argv[2]):\n    time.sleep(0.01)\n"
    ends = "import os, signal, sys, time; time.sleep(0.3); os.kill(os.getppid(), signal.SIGTERM)"
    programs = [
        program(STEADY, "index", "shard-00000"),
        program(waits + COMPLAINS, "coordinator", "coordinator-0", mark),
        program(content, "coordinator", "coordinator-1", mark),
        program(f"{ends}; sys.stdin.read()", "library", "library"),
    ]
    # A busy machine delays beats beyond the time-out, which is so short for the worker's sake.
    monkeypatch.setattr(Supervisor, "_kill_silent_coordinator", lambda *_: None)
    Supervisor(programs, lambda _: None, hang_timeout=0.1).run()
    assert "hung" not in caplog.text


def test_a_coordinator_without_a_beat_is_killed_and_started_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.supervisor.TICK", 0.05)
    hanging = program(HANGS_ONCE, "coordinator", "coordinator", str(tmp_path / "mark"))
    Supervisor([hanging], lambda _: None, hang_timeout=0.2).run()
    assert "coordinator ended (hung for 0 s, killed)" in caplog.text


def test_a_coordinator_without_a_beat_is_killed_while_another_has_its_own(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.supervisor.TICK", 0.05)
    hanging = program(HANGS_ONCE, "coordinator", "coordinator-0", str(tmp_path / "mark"))
    programs = [hanging, program(CONTENT, "coordinator", "coordinator-1")]
    Supervisor(programs, lambda _: None, hang_timeout=0.3).run()
    assert re.search(r"coordinator-0 ended \(hung for \d+ s, killed\)", caplog.text)


def test_what_a_process_writes_to_stderr_becomes_lines_of_log(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as file:
        writer = Writer(file)
        Supervisor([program(NOISY, "index", "shard-00000")], lambda _: None, writer=writer).run()
        writer.flush(10)
    noise, own = (json.loads(line) for line in (tmp_path / "log").read_text().splitlines())
    assert (noise["logger"], noise["message"]) == ("shard-00000@h:1", "E1128 add_port.cc:83 noise")
    assert own == {"level": "info", "message": "a line of log"}


def test_a_process_is_given_the_topology_that_the_supervisor_read() -> None:
    reading = program(READS, "index", "shard-00000")
    given = dataclasses.replace(topology(), log_level="error")
    with pytest.raises(StartFailed) as caught:
        Supervisor([dataclasses.replace(reading, topology=given)], lambda _: None).run()
    received = from_json(str(caught.value).removeprefix("shard-00000@h:1: "))
    assert (received.log_level, received.takeover) == ("error", False)
    assert (received.index, received.ranker) == (given.index, given.ranker)


def test_what_a_ranker_settled_is_not_settled_anew(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    settling = dataclasses.replace(program(SETTLES, "ranker", "ranker-0", str(mark)), topology=topology())
    Supervisor([settling], lambda _: None).run()
    assert from_json(mark.read_text()).ranker[0].text_precision == "int8"


def test_a_start_that_fails_ends_all_with_its_reason() -> None:
    steady = program(STEADY, "ranker", "ranker-0")
    supervisor = Supervisor([steady, program(REFUSES, "index", "shard-00000")], lambda _: None)
    with pytest.raises(StartFailed, match="shard-00000@h:1: the file is bad; fetch another") as caught:
        supervisor.run()
    assert caught.value.exit_code == 3
    assert not any(alive(pid) for pid in supervisor.pids().values())


def test_a_crash_at_the_start_is_not_tried_again() -> None:
    with pytest.raises(StartFailed, match="exit code 9 before it was ready") as caught:
        Supervisor([program("raise SystemExit(9)", "index", "shard-00000")], lambda _: None).run()
    assert caught.value.exit_code == 9


def test_a_library_that_cannot_start_leaves_the_service_and_is_tried_again(tmp_path: Path) -> None:
    told: list[dict[str, Any]] = []
    children = [
        program(STEADY, "ranker", "ranker-0"),
        program(STEADY, "coordinator", "coordinator"),
        program(STARTS_AT_LAST, "library", "library", str(tmp_path / "lives")),
    ]
    Supervisor(children, told.append).run()
    assert len(told) == 1
    assert (tmp_path / "lives").read_text() == "xxx"


def test_a_library_that_takes_long_to_start_holds_nothing_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.supervisor.OPTIONAL_PATIENCE", 0.0)

    def ready(line: dict[str, Any]) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    Supervisor(
        [
            program(STEADY, "coordinator", "coordinator"),
            program("import sys; sys.stdin.read()", "library", "library"),
        ],
        ready,
    ).run()


def test_a_library_is_started_last_and_only_where_the_topology_has_one() -> None:
    assert [one.role for one in processes.programs(topology())] == ["ranker", "index", "coordinator"]
    values = {"collection": "here", "index": [{"shard": 0, "listen": "h:1"}], "ranker": [{"listen": "h:2"}]}
    library = parse({**values, "library": {"listen": "h:3"}}, Path("topology.toml"))
    last = processes.programs(library)[-1]
    assert (last.label, last.target, last.command[2]) == ("library", "h:3", "trainer.library")


def test_signals_are_handled_as_before_afterwards() -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(StartFailed):
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
    worker = IndexWorkerConfig(shard=0, listen="h:1", threads=3)
    environment = processes.program(topology(), "index", worker).environment
    assert environment == {"OMP_NUM_THREADS": "3"} | (processes.POLLING if given is None else {})
