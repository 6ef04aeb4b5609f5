"""Commands of `spr admin` that wait: for a worker that goes away, for a service that is not trusted."""

from types import SimpleNamespace
from typing import Any

import grpc
import pytest

from spr.v1.admin_service_pb2 import GetStatusResponse, Worker
from spr.v1.standing_service_pb2 import ListMatchesResponse, WatchMatchesRequest
from spr_cli import admin_drain, admin_matches


class Failed(grpc.RpcError):
    def __init__(self, code: grpc.StatusCode, details: str) -> None:
        self._code, self._details = code, details

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str:
        return self._details


def test_a_worker_that_is_taken_out_of_the_topology_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(admin_drain, "LOOK", 0)
    other = Worker(name="ranker-0", target="b:1", calls_in_flight=3)
    stub = SimpleNamespace(GetStatus=lambda *_, **__: GetStatusResponse(workers=[other]))
    drained = Worker(name="ranker-0", target="a:1", calls_in_flight=2)
    assert admin_drain._waited(stub, drained, None, False).calls_in_flight == 0


def test_who_follows_matches_is_told_of_a_certificate_that_is_not_trusted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(admin_matches, "AGAIN", 0)
    ends = iter(["Connection refused", "CERTIFICATE_VERIFY_FAILED"])

    def watch(_: Any) -> Any:
        raise Failed(grpc.StatusCode.UNAVAILABLE, next(ends))

    stub: Any = SimpleNamespace(WatchMatches=watch, ListMatches=lambda _: ListMatchesResponse())
    with pytest.raises(Failed) as failure:
        next(admin_matches._followed(stub, WatchMatchesRequest()))
    assert failure.value.details() == "CERTIFICATE_VERIFY_FAILED"
