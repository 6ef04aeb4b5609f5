"""Jobs of the library process: submitted, followed until they are done, and told."""

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from spr_cli.admin_calls import AS_JSON, AT, COLLECTION, end, operator
from spr_cli.options import SECONDS, WORDS

if TYPE_CHECKING:
    from spr.v1.admin_service_pb2 import Job, ListJobsRequest
    from spr.v1.admin_service_pb2_grpc import AdminServiceStub

SUBMISSION = 30.0  # seconds
INTERVAL = 0.2  # seconds between looks at a job
IDS = 10  # of videos that are told
# Kinds of jobs whose version is made for searches to be answered from it.
CHANGING = ("add", "delete", "compact", "restore")
# Exit codes of failed jobs, by the start of their reason; all others are 4.
_CODES = {"GENERATION": 3, "MODEL": 3, "BAD": 2, "VIDEO_NOT_FOUND": 2, "NOT_FOUND": 2}


def submitted(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of a job."""
    options = (
        AT,
        COLLECTION,
        click.option(
            "--request-id", type=WORDS, default="", help="Yours: a second job of it is not made again."
        ),
        click.option("--wait", is_flag=True, help="Until it is done and, if it changes answers, searchable."),
        click.option(
            "--timeout", type=SECONDS, default=600.0, show_default=True, help="With --wait; inf waits on."
        ),
        AS_JSON,
    )
    for option in reversed(options):
        command = option(command)
    return command


def run_job(options: dict[str, Any], **work: Any) -> None:
    """Submit a job with the options of `submitted`; print it, after its end if that is waited for."""
    from spr.v1.admin_service_pb2 import SubmitJobRequest
    from spr_cli.output import message_values, print_json

    as_json, address = options["as_json"], options["address"]
    with operator(address, as_json) as stub:
        request = SubmitJobRequest(collection=options["collection"], request_id=options["request_id"], **work)
        job = stub.SubmitJob(request, timeout=SUBMISSION).job
        if options["wait"]:
            try:
                job = followed(stub, job, options["timeout"], as_json)
            except KeyboardInterrupt:
                sentence = f"stopped waiting by Ctrl-C; job {job.request_id} goes on: {_look(job)}"
                end(sentence, "INTERRUPTED", 130, as_json)
    if job.state == job.STATE_FAILED and not as_json:
        end(job.error, job.reason, _code(job.reason), as_json)
    if as_json:
        print_json(message_values(job))
    else:
        _print(job)
    if job.state == job.STATE_FAILED:
        raise SystemExit(_code(job.reason))


def state_of(job: "Job") -> str:
    """Return a job's state as a word."""
    if job.searchable and job.kind in CHANGING:
        return "searchable"
    return job.State.Name(job.state).removeprefix("STATE_").lower()


def followed(stub: "AdminServiceStub", job: "Job", timeout: float | None, as_json: bool) -> "Job":
    """Return a job at its end, every change on stderr; end the command where that does not come in time."""
    from engine.printable import printable
    from spr.v1.admin_service_pb2 import ListJobsRequest

    ends = None if timeout is None else time.monotonic() + timeout
    request, told = ListJobsRequest(collection=job.collection, request_id=job.request_id), ""
    while not _ended(job):
        late = [why for why in job.warnings[-1:] if why.startswith("not searched: ")]
        line = ": ".join(part for part in (state_of(job), job.detail, *late) if part)
        if line != told:
            told = line
            click.echo(printable(line), err=True)
        if ends is not None and time.monotonic() >= ends:
            sentence = f"job {job.request_id} is not at its end after {timeout:g} s ({line}); it goes on: "
            end(sentence + _look(job), "DEADLINE_EXCEEDED", 4, as_json)
        time.sleep(INTERVAL)
        job = _looked(stub, request) or job
    return job


def _look(job: "Job") -> str:
    return f"`spr admin jobs --request-id {job.request_id}` tells of it"


def _looked(stub: "AdminServiceStub", request: "ListJobsRequest") -> "Job | None":
    """Return a job as it is now, None where nobody tells: it is on disk, and whoever comes back goes on."""
    import grpc

    try:
        return stub.ListJobs(request, timeout=SUBMISSION).jobs[0]
    except grpc.RpcError as error:
        if error.code() is not grpc.StatusCode.UNAVAILABLE:
            raise
    return None


def _ended(job: "Job") -> bool:
    """Whether nothing more comes of a job: it failed, or it is done and searches are answered from it."""
    if job.state == job.STATE_DONE:
        return job.searchable or not job.version or job.kind not in CHANGING
    return job.state == job.STATE_FAILED


def _code(reason: str) -> int:
    return next((code for start, code in _CODES.items() if reason.startswith(start)), 4)


def _print(job: "Job") -> None:
    from engine.printable import printable

    version = f", version {job.version}" if job.version else ""
    click.echo(f"job {printable(job.request_id)}: {job.kind} {state_of(job)}{version}")
    if job.detail:
        click.echo(printable(job.detail) + _some(job.video_ids))
    for warning in job.warnings:
        click.echo(f"warning: {printable(warning)}")


def _some(ids: Sequence[str]) -> str:
    """Return the ids of a job's videos after a colon, as many as a line has room for."""
    from engine.printable import printable

    more = f" and {len(ids) - IDS} more" if len(ids) > IDS else ""
    return f": {', '.join(map(printable, ids[:IDS]))}{more}" if ids else ""
