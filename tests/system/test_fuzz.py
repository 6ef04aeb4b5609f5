"""No request is a defect of ours, whatever it holds: all methods of all processes of a real service."""

import shutil
from pathlib import Path

from google.protobuf import descriptor_pool

from tests.forked import Supervisor
from tests.system.fuzz import defect
from tests.system.fuzz_calls import Call, Reply
from tests.system.fuzz_run import trial

REQUESTS, SEED = 400, 7
# What a service with a library offers; the fuzz reaches all that the ports say they have.
SERVICES = {
    "spr.v1.SearchService",
    "spr.v1.AdminService",
    "spr.v1.FeedbackService",
    "spr.v1.StandingService",
    "spr.internal.v1.IndexShardService",
    "spr.internal.v1.RankerService",
    "spr.internal.v1.EncoderService",
    "spr.internal.v1.VersionService",
    "spr.internal.v1.LibraryService",
    "grpc.health.v1.Health",
    "grpc.reflection.v1alpha.ServerReflection",
}


def test_requests_of_all_kinds(collection: Path, tmp_path: Path) -> None:
    mine = shutil.copytree(collection, tmp_path / "collection")
    done = trial(mine, tmp_path, REQUESTS, SEED, start=Supervisor)
    assert not done.defects, done.defects
    outcome = done.outcome
    assert {name.rpartition(".")[0] for name in outcome.methods} == SERVICES
    assert outcome.codes["OK"] > REQUESTS / 10
    assert outcome.codes["INVALID_ARGUMENT"] > REQUESTS / 10


def test_a_defect_is_seen() -> None:
    method = descriptor_pool.Default().FindMethodByName("spr.v1.SearchService.Search")
    call = Call("/spr.v1.SearchService/Search", [b""], streams=False)
    hurried = Call("/spr.v1.SearchService/Search", [b""], streams=False, timeout=0.0)
    late = Reply("DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED")
    assert defect(method, call, Reply("INTERNAL"))
    assert defect(method, call, late)
    assert not defect(method, hurried, late)
    assert defect(method, call, Reply("OK", seconds=1000))
    assert defect(method, call, Reply("INVALID_ARGUMENT", "BAD_PARAMETER"))
    assert not defect(method, call, Reply("INVALID_ARGUMENT", "BAD_PARAMETER", ("text",)))
    assert defect(method, call, Reply("NOT_FOUND"))
