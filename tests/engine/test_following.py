"""The supervisor's processes while its topology changes."""

import os
import signal
from pathlib import Path

import pytest

from engine.following import Followed
from engine.supervisor import Supervisor
from tests.engine.children import ARRIVES, CONTENT, NOTES
from tests.engine.test_supervisor import program


def test_a_topology_that_changes_starts_and_stops_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.supervisor.TICK", 0.05)
    mark = str(tmp_path / "told to stop")
    front = program(CONTENT, "coordinator", "coordinator")
    changed = [front, program(ARRIVES, "index", "shard-00000", mark, listen="h:2")]
    looks = iter([Followed(changed, "now")])
    supervisor = Supervisor(
        [front, program(NOTES, "index", "shard-00000", mark)],
        lambda _: None,
        follow=lambda: next(looks, None),
    )
    supervisor.run()
    assert [child.program.label for child in supervisor.children] == ["coordinator", "shard-00000@h:2"]


def test_what_a_topology_removes_runs_while_a_coordinator_may_ask_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.supervisor.TICK", 0.05)
    front, ended = program(CONTENT, "coordinator", "coordinator"), tmp_path / "ended"
    looks = iter([Followed([front], "not yet")])

    def follow() -> Followed | None:
        if supervisor.children[1].removed:
            assert not ended.exists()
            os.kill(os.getpid(), signal.SIGTERM)
        return next(looks, None)

    noting = program(NOTES, "index", "shard-00000", str(ended))
    supervisor = Supervisor([front, noting], lambda _: None, follow=follow)
    supervisor.run()
    assert ended.exists()
