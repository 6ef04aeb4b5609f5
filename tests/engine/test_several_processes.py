"""Processes of one coordinator, which listen together."""

import socket
from pathlib import Path
from typing import Any

import pytest

from engine import config, serving
from engine.errors import InvalidInput, Unavailable
from engine.processes import programs
from engine.supervisor import Supervisor


def topology(**coordinator: Any) -> config.Topology:
    worker = {"index": [{"shard": 0, "listen": "a:1"}], "ranker": [{"listen": "a:2", "metrics": "a:9"}]}
    front = {"listen": "127.0.0.1:3", "admin": "127.0.0.1:4", **coordinator}
    return config.parse({"collection": "c", "coordinator": front, **worker}, Path("t.toml"))


def test_they_differ_by_their_number_their_admin_and_their_metrics() -> None:
    made = programs(topology(processes=3, metrics="127.0.0.1:10", max_in_flight=7))
    fronts = [one for one in made if one.role == "coordinator"]
    assert [one.label for one in fronts] == ["coordinator", "coordinator.2", "coordinator.3"]
    assert len({one.key for one in made}) == len(made)
    assert fronts[0].topology is not None
    told = config.from_json(config.to_json(fronts[0].topology))
    parts = [serving.select_part(told, "coordinator", one.label, "127.0.0.1:3") for one in fronts]
    assert serving.select_part(told, "coordinator", None, None) == parts[0]
    assert {(one.listen, one.max_in_flight) for one in parts} == {("127.0.0.1:3", 7)}
    assert [one.admin for one in parts] == ["127.0.0.1:4", "127.0.0.1:0", "127.0.0.1:0"]
    assert [one.metrics for one in parts] == ["127.0.0.1:10", "127.0.0.1:11", "127.0.0.1:12"]


def test_one_alone_checks_its_port_itself() -> None:
    assert [one.shares for one in programs(topology()) if one.role == "coordinator"] == [()]


def test_a_port_of_their_metrics_that_another_has_is_refused() -> None:
    with pytest.raises(InvalidInput, match="gives a:9 to two processes"):
        topology(processes=3, metrics="a:7")


def test_no_number_of_processes_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"coordinator.processes = 0 is below 1"):
        topology(processes=0)


def test_a_port_where_a_stranger_listens_is_refused_before_any_starts() -> None:
    with socket.socket() as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        stranger.bind(("127.0.0.1", 0))
        stranger.listen()
        taken = f"127.0.0.1:{stranger.getsockname()[1]}"
        supervisor = Supervisor(programs(topology(processes=2, listen=taken)), lambda _: None)
        with pytest.raises(Unavailable, match=f"cannot listen on {taken}; is another process there"):
            supervisor.run()
    assert supervisor.pids() == {}
