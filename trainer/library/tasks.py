"""What a job is to do, how it ended, and what is told of it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from spr.v1.admin_service_pb2 import Job, SubmitJobRequest

QUEUED, RUNNING, DONE, FAILED = "queued", "running", "done", "failed"
STATES = {
    QUEUED: Job.STATE_QUEUED,
    RUNNING: Job.STATE_RUNNING,
    DONE: Job.STATE_DONE,
    FAILED: Job.STATE_FAILED,
}
# Reasons of errors that pass: another process has what is needed for a while, or changed it.
_KINDS = {"collect_garbage": "gc"}
IN_THE_WAY = ("STORE_LOCKED", "WRITER_RUNNING", "VERSION_CHANGED", "COLLECTION_AWAY")
# Of many videos and warnings the first are told.
TOLD = 1000


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a job ended. version: that it made, or that has what it asked for. error, reason: of a failed one.

    videos: ids added or deleted. warnings: what was left out, a sentence each.
    """

    detail: str = ""
    version: str = ""
    videos: Sequence[str] = ()
    warnings: Sequence[str] = ()
    error: str = ""
    reason: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the values as JSON's, the lists cut to TOLD."""
        return asdict(self) | {"videos": list(self.videos[:TOLD]), "warnings": list(self.warnings[:TOLD])}


@dataclass(frozen=True, slots=True)
class Task:
    """A job that is to be done. again: whether it was begun before, and may be done in part."""

    number: int
    id: str
    kind: str
    work: SubmitJobRequest
    again: bool = False


def kind_of(request: SubmitJobRequest) -> str:
    """Return a job's kind as it is told."""
    kind = request.WhichOneof("work") or ""
    return _KINDS.get(kind, kind)


def kinds() -> list[str]:
    """Return the kinds of jobs that there are."""
    work = SubmitJobRequest.DESCRIPTOR.oneofs_by_name["work"].fields
    return [_KINDS.get(field.name, field.name) for field in work]


def work_of(request: SubmitJobRequest) -> bytes:
    """Return what a job is to do as bytes that are the same for the same work."""
    bare = SubmitJobRequest()
    bare.CopyFrom(request)
    bare.ClearField("request_id")
    bare.ClearField("collection")
    return bare.SerializeToString(deterministic=True)


def job_of(row: Mapping[str, Any], collection: str, outcome: Mapping[str, Any], detail: str) -> Job:
    """Return what is told of a job. row: of the queue. detail: what it does now."""
    job = Job(
        request_id=row["id"],
        collection=collection,
        kind=row["kind"],
        state=STATES[row["state"]],
        detail=outcome.get("detail") or detail,
        error=outcome.get("error", ""),
        reason=outcome.get("reason", ""),
        version=outcome.get("version", ""),
        video_ids=outcome.get("videos", []),
        warnings=outcome.get("warnings", []),
    )
    job.create_time.FromNanoseconds(int(row["created"] * 1e9))
    if row["ended"]:
        job.end_time.FromNanoseconds(int(row["ended"] * 1e9))
    return job
