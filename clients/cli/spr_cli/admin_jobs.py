"""`spr admin add`, `delete`, `compact` and `jobs`: work of the library process of a running service."""

import os
from typing import TYPE_CHECKING, Any

import click

from spr_cli.admin_calls import AS_JSON, AT, COLLECTION, operator, patience
from spr_cli.admin_waiting import run_job, submitted
from spr_cli.options import WORDS

if TYPE_CHECKING:
    from spr.v1.admin_service_pb2 import Job


@click.command()
@click.argument("paths", nargs=-1, required=True, type=WORDS)
@submitted
def add(paths: tuple[str, ...], **options: Any) -> None:
    """Add videos: files or folders, as the library process sees them.

    The job is on disk when this returns; with --wait it returns when the videos can be searched.

    \b
    spr admin add new_videos --wait
    spr admin add /data/shop.mp4 --request-id shop-1
    """
    from spr.v1.admin_service_pb2 import AddVideos

    run_job(
        options, add=AddVideos(paths=[path if "://" in path else os.path.abspath(path) for path in paths])
    )


@click.command()
@click.argument("videos", nargs=-1, required=True, type=WORDS)
@click.option("--purge", is_flag=True, help="Also remove their rows from the disk, at once.")
@submitted
def delete(videos: tuple[str, ...], purge: bool, **options: Any) -> None:
    """Delete videos by the ids that searches tell: from the version that does, no answer names them.

    \b
    spr admin delete shop --wait
    spr admin delete shop hall --purge
    """
    from spr.v1.admin_service_pb2 import DeleteVideos

    run_job(options, delete=DeleteVideos(video_ids=videos, purge=purge))


@click.command()
@submitted
def compact(**options: Any) -> None:
    """Merge small parts, and leave deleted videos out; answers do not change.

    \b
    spr admin compact --wait
    """
    from spr.v1.admin_service_pb2 import Compact

    run_job(options, compact=Compact())


@click.command()
@AT
@COLLECTION
@click.option("--request-id", type=WORDS, default="", help="Only this job.")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 1000), help="Newest jobs.")
@patience(10.0)
@AS_JSON
def jobs(
    address: str, collection: str, request_id: str, limit: int, timeout: float | None, as_json: bool
) -> None:
    """Show what the library process does and did, newest first.

    \b
    spr admin jobs
    spr admin jobs --request-id shop-1 --json
    """
    from spr.v1.admin_service_pb2 import ListJobsRequest
    from spr_cli.output import message_values, print_json, print_table

    with operator(address, as_json) as stub:
        request = ListJobsRequest(collection=collection, request_id=request_id, page_size=limit)
        response = stub.ListJobs(request, timeout=timeout)
    if as_json:
        print_json(message_values(response))
        return
    if not response.jobs:
        click.echo("no jobs")
        return
    headings = ("request", "kind", "state", "version", "time", "")
    print_table(headings, map(_row, response.jobs), right=("version",))


def _row(job: "Job") -> tuple[str, ...]:
    from spr_cli.admin_waiting import state_of

    number = job.version.partition("-")[0].lstrip("0")
    time = job.create_time.ToDatetime().strftime("%Y-%m-%d %H:%M:%S")
    return (job.request_id, job.kind, state_of(job), number, time, job.error or job.detail)
