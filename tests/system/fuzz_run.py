"""Serves a throw-away collection, fuzzes every method of every process, and looks at what is left.

python -m tests.system.fuzz_run --requests 200000 --seed 1     one line of JSON; exit code 1 for a defect
"""

import argparse
import json
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from engine import config, versions
from engine.corpus import open_corpus
from spr.v1 import admin_service_pb2 as admin_pb
from spr.v1.admin_service_pb2_grpc import AdminServiceStub
from spr_client import Client
from tests.system import world
from tests.system.fuzz import Outcome, fuzz, reached
from tests.system.fuzz_right import ports_of
from tests.system.searching import whole
from tests.system.service import Service, Start, alive, launch, running, until, write_topology

THREADS = 4
# Caches of texts, vectors and pages fill; what grows beyond them is a leak.
MOST_GROWN = 256 << 20
# A busy machine is no hang, and a search that waits for its turn is not degraded.
PATIENT: dict[str, Any] = {"shard_timeout": 30.0, "max_deadline": 60.0, "hedge_after": 20.0}


@dataclass(frozen=True)
class Trial:
    """What a run showed. grown: bytes, by process."""

    outcome: Outcome
    defects: list[str]
    grown: dict[str, int]
    seconds: float


def trial(
    collection: Path, folder: Path, count: int, seed: int, threads: int = THREADS, start: Start = launch
) -> Trial:
    """Serve a collection and fuzz it; controls in between must be right, and nothing dead or changed."""
    began = time.monotonic()
    before, living = versions.current(collection), _living(collection)
    (folder / "jobs").mkdir()
    library = {"max_queued": 30}
    topology = write_topology(folder / "topology.toml", collection, library=library, **PATIENT)
    with (
        running(folder / "log.jsonl", str(topology), start=start) as service,
        Client(service.address) as client,
    ):
        first = until(lambda: whole(client)).moments
        pids: dict[str, int] = service.ready["pids"]
        sizes = {name: _resident(pid) for name, pid in pids.items()}

        def control() -> None:
            # On a busy machine an answer may lack something, and says so; then it is asked again.
            found = until(lambda: whole(client))
            assert found.moments == first, "a right search was answered otherwise"
            assert all(map(alive, pids.values())), "a process is dead"

        with ports_of(config.read(topology), folder / "jobs") as ports:
            outcome = fuzz(ports, count, seed, control, threads)
            defects = [*outcome.defects, *(f"never called: {name}" for name in reached(outcome, ports))]
        defects += _jobs_that_failed(service)
        grown = {name: _resident(pid) - sizes[name] for name, pid in pids.items()}
        defects += [f"{name} grew by {size >> 20} MB" for name, size in grown.items() if size > MOST_GROWN]
        if {pid for pid in service.children()} != set(pids.values()):
            defects.append(f"other processes than at the start: {pids}")
        # A traceback is a defect that nobody was told of.
        defects += [line for line in service.log.read_text().splitlines() if "Traceback" in line]
    if (versions.current(collection), _living(collection)) != (before, living):
        defects.append(f"the collection changed: {versions.read(collection)}")
    return Trial(outcome, defects, grown, time.monotonic() - began)


def _living(collection: Path) -> list[str]:
    return list(open_corpus(collection).catalogue.ids)


def _resident(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4096


def _jobs_that_failed(service: Service) -> list[str]:
    """Wait for all jobs to end; return those that ended by a defect of ours."""
    with grpc.insecure_channel(service.ready["admin"]) as channel:
        stub = AdminServiceStub(channel)

        def ended() -> list[admin_pb.Job] | None:
            jobs = stub.ListJobs(admin_pb.ListJobsRequest(page_size=1000), timeout=60).jobs
            waiting = (admin_pb.Job.STATE_QUEUED, admin_pb.Job.STATE_RUNNING)
            return None if any(job.state in waiting for job in jobs) else list(jobs)

        return [f"a job failed: {job}" for job in until(ended, 300) if job.reason == "INTERNAL"]


def main() -> int:
    """Run, print the verdict, return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        collection = world.collection(Path(name) / "collection")
        done = trial(collection, Path(name), options.requests, options.seed)
    print(json.dumps({"ok": not done.defects, **options.__dict__, **verdict(done)}))
    return 1 if done.defects else 0


def verdict(done: Trial) -> dict[str, Any]:
    """Return what a run showed as JSON's values."""
    return {
        "codes": dict(done.outcome.codes.most_common()),
        "methods": len(done.outcome.methods),
        "fewest_calls": min(done.outcome.methods.values()),
        "slowest_s": round(done.outcome.slowest, 2),
        "seconds": round(done.seconds),
        "grown_mb": {name: round(size / 2**20, 1) for name, size in done.grown.items()},
        "defects": done.defects,
    }


if __name__ == "__main__":
    sys.exit(main())
