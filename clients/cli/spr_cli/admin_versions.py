"""`spr admin collections` and `versions`: what is served, and what could be."""

from typing import TYPE_CHECKING

import click

from spr_cli.admin_calls import AS_JSON, AT, COLLECTION, operator, patience

if TYPE_CHECKING:
    from google.protobuf.timestamp_pb2 import Timestamp

    from spr.v1.admin_service_pb2 import Version


@click.command()
@AT
@patience(5.0)
@AS_JSON
def collections(address: str, timeout: float | None, as_json: bool) -> None:
    """List the collections that are served, the first one first.

    \b
    spr admin collections
    """
    from spr.v1.admin_service_pb2 import ListCollectionsRequest
    from spr_cli.output import message_values, print_json, print_table

    with operator(address, as_json) as stub:
        response = stub.ListCollections(ListCollectionsRequest(), timeout=timeout)
    if as_json:
        print_json(message_values(response))
        return
    headings = ("collection", "version", "videos", "segments", "shards", "parts", "")
    rows = [
        (
            one.name,
            one.generation or "none",
            str(one.videos),
            str(one.segments),
            str(one.shard_count),
            str(one.parts),
            one.fault,
        )
        for one in response.collections
    ]
    print_table(headings, rows, right=("videos", "segments", "shards", "parts"))


@click.command()
@AT
@COLLECTION
@patience(10.0)
@AS_JSON
def versions(address: str, collection: str, timeout: float | None, as_json: bool) -> None:
    """List all versions of a collection that are on disk, newest first.

    "active" answers new searches; "current" is what CURRENT names, the one that a restart serves.

    \b
    spr admin versions
    spr admin versions --collection lectures --json
    """
    from spr.v1.admin_service_pb2 import ListVersionsRequest
    from spr_cli.output import message_values, print_json, print_table

    with operator(address, as_json) as stub:
        response = stub.ListVersions(ListVersionsRequest(collection=collection), timeout=timeout)
    if as_json:
        print_json(message_values(response))
        return
    headings = ("number", "version", "made by", "of", "time", "videos", "parts", "deleted", "")
    print_table(headings, map(_row, response.versions), right=("number", "of", "videos", "parts", "deleted"))


def _row(version: "Version") -> tuple[str, ...]:
    if version.fault:
        return (str(version.number), "", "", "", "", "", "", "", f"cannot be used: {version.fault}")
    marks = ["active"] * version.active + ["current"] * version.current
    return (
        str(version.number),
        version.id,
        version.reason,
        version.parent.partition("-")[0].lstrip("0"),
        _time(version.create_time),
        str(version.videos),
        str(version.parts),
        str(version.deleted_videos),
        ", ".join(marks),
    )


def _time(stamp: "Timestamp") -> str:
    return stamp.ToDatetime().strftime("%Y-%m-%d %H:%M:%S")
