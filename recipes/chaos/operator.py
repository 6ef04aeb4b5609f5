"""What an operator does to the service: jobs, activations and rollbacks, through whoever coordinates."""

import itertools
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import grpc

from engine import faults, lineage, versions
from engine.errors import SprError, Unavailable
from spr.v1 import admin_service_pb2 as pb
from spr.v1.admin_service_pb2_grpc import AdminServiceStub

Reply = TypeVar("Reply")
# A job waits for a whole start where all processes were killed; that takes minutes on a busy machine.
PATIENCE, CALL = 400.0, 30.0
CHANGING = ("add", "delete", "compact")


class Operator:
    """Calls one coordinator after the other until one answers; a job's request id makes that safe."""

    def __init__(self, admins: Sequence[str], collection: Path, name: str = "chaos") -> None:
        self._admins, self._collection = list(admins), collection
        self._ids = (f"{name}-{number}" for number in itertools.count())

    def run(self, **work: str) -> pb.Job:
        """Submit a job, and return it at its end; see `submit`."""
        return self.done(self.submit(**work))

    def submit(self, **work: str) -> pb.Job:
        """Submit a job until it is acknowledged, and return it. work: its kind and what it is about.

        add: a path; delete: a video's id; compact: ""; snapshot: a directory; gc: how many versions to keep.
        """
        request = pb.SubmitJobRequest(request_id=next(self._ids))
        for kind, about in work.items():
            if kind == "add":
                request.add.paths.append(str(Path(about).resolve()))
            elif kind == "delete":
                request.delete.video_ids.append(about)
            elif kind == "compact":
                request.compact.SetInParent()
            elif kind == "snapshot":
                request.snapshot.destination = str(Path(about).resolve())
            else:
                request.collect_garbage.keep = int(about)
        told: pb.SubmitJobResponse = self._call(lambda stub: stub.SubmitJob(request, timeout=CALL))
        return told.job

    def jobs(self) -> list[pb.Job]:
        """Return the thousand newest jobs."""
        request = pb.ListJobsRequest(page_size=1000)
        told: pb.ListJobsResponse = self._call(lambda stub: stub.ListJobs(request, timeout=CALL))
        return list(told.jobs)

    def done(self, job: pb.Job) -> pb.Job:
        """Wait for a job's end and, of one that changes answers, until these are given."""
        request, ends = pb.ListJobsRequest(request_id=job.request_id), time.monotonic() + PATIENCE
        while True:
            listed = self._call(lambda stub: stub.ListJobs(request, timeout=CALL).jobs)
            if not listed:
                raise SprError(f"job {job.request_id} was acknowledged, and is not listed", "JOB_LOST")
            job = listed[0]
            if job.state == job.STATE_FAILED:
                raise SprError(f"job {job.request_id} failed: {job.error}", job.reason)
            if job.state == job.STATE_DONE:
                if job.searchable or not job.version or job.kind not in CHANGING:
                    return job
            if time.monotonic() > ends:
                raise Unavailable(f"job {job.request_id} did not end within {PATIENCE:g} s: {job.detail}")
            time.sleep(0.05)

    def activate(self, version: str) -> str:
        """Activate a version; return what was active before."""
        request = pb.ActivateVersionRequest(version=version)
        done: pb.ActivateVersionResponse = self._call(
            lambda stub: stub.ActivateVersion(request, timeout=CALL)
        )
        return done.previous

    def roll_back(self) -> str:
        """Undo the last change, once, whatever happens meanwhile; return the id of the version before it.

        NotFound where that is gone.
        """
        parent = lineage.before(self._collection, versions.read(self._collection))
        versions.read(self._collection, parent or "none")
        request = pb.ActivateVersionRequest(roll_back=True)

        def ask(stub: AdminServiceStub) -> None:
            # A call that broke off may have been obeyed.
            if versions.current(self._collection) != parent:
                stub.ActivateVersion(request, timeout=CALL)

        self._call(ask)
        return parent

    def _call(self, ask: Callable[[Any], Reply]) -> Reply:
        ends = time.monotonic() + PATIENCE
        for admin in itertools.cycle(self._admins):
            try:
                with grpc.insecure_channel(admin) as channel:
                    return ask(AdminServiceStub(channel))
            except grpc.RpcError as error:
                again = error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
                # Only an operator can make room on a disk.
                again = again and faults.reason_of(error) != "DISK_FULL"
                if not again or time.monotonic() > ends:
                    raise SprError(f"{error.code().name}: {error.details()}", error.code().name) from None
            time.sleep(0.05)
        raise AssertionError("cycle does not end")
