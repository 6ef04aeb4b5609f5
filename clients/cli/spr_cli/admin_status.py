"""`spr admin status`: the served collection and every worker."""

import sys
from typing import TYPE_CHECKING

import click

from spr_cli.admin_calls import AS_JSON, AT, COLLECTION, operator, patience

if TYPE_CHECKING:
    from spr.v1.admin_service_pb2 import GetStatusResponse


@click.command()
@AT
@COLLECTION
@patience(5.0)
@AS_JSON
def command(address: str, collection: str, timeout: float | None, as_json: bool) -> None:
    """Show the served collection, every worker's state, and what was answered.

    The exit code is 0 when every worker serves, 1 when one does not, 4 when the coordinator is away.

    \b
    spr admin status
    spr admin status --collection lectures --json
    """
    from spr.v1.admin_service_pb2 import GetStatusRequest

    with operator(address, as_json) as stub:
        response = stub.GetStatus(GetStatusRequest(collection=collection), timeout=timeout)
    if as_json:
        from spr_cli.output import message_values, print_json

        print_json(message_values(response))
    else:
        _print(response)
    if any(worker.state != worker.STATE_SERVING for worker in response.workers):
        sys.exit(1)


def _print(response: "GetStatusResponse") -> None:
    from engine.printable import printable

    served = response.collection
    if served.generation:
        click.echo(
            f"collection '{printable(served.name)}', version {served.generation}: {served.videos} videos, "
            f"{served.segments} segments in {served.shard_count} shards ({served.index_factory})"
        )
        click.echo(f"{served.parts} parts, {served.deleted_videos} deleted videos in them")
        click.echo(f"encoder {served.embedding_model}, ranker {served.ranker_model or 'unknown'}")
    else:
        click.echo(f"collection '{printable(served.name)}' has no version that is served")
    if served.fault:
        click.echo(f"version {served.newest_generation} is not served: {printable(served.fault)}")
    elif served.newest_generation not in ("", served.generation):
        click.echo(f"version {served.newest_generation} is being prepared")
    _print_workers(response)
    for fault in response.topology_faults:
        click.echo(printable(fault))
    click.echo(
        f"up {response.uptime.seconds} s: {response.searches_answered} searches answered "
        f"({response.searches_degraded} degraded), {response.searches_failed} failed"
    )


def _print_workers(response: "GetStatusResponse") -> None:
    """Print a line for each worker, never cut or folded, and what is wrong with it on a line of its own."""
    rows = [("worker", "target", "state", "version", "videos", "memory")]
    for worker in response.workers:
        state = worker.State.Name(worker.state).removeprefix("STATE_").replace("_", " ").lower()
        memory = f"{worker.bytes_resident / 2**20:.0f} MB"
        version = worker.generation.partition("-")[0].lstrip("0")
        rows.append((worker.name, worker.target, state, version, str(worker.videos), memory))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    faults = ["", *(worker.last_error for worker in response.workers)]
    for row, fault in zip(rows, faults, strict=True):
        cells = [cell.ljust(width) for cell, width in zip(row[:3], widths[:3], strict=True)]
        cells += [cell.rjust(width) for cell, width in zip(row[3:], widths[3:], strict=True)]
        click.echo("  ".join(cells))
        if fault:
            click.echo(f"    {fault}")
