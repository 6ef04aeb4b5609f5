"""`spr admin`: look into a running service, or at the files it serves."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from spr_cli.options import ADDRESS, SECONDS

if TYPE_CHECKING:
    from spr.v1.admin_service_pb2 import GetStatusResponse


@click.group()
def command() -> None:
    """Look into a running service, or at the files it serves.

    \b
    spr admin status
    spr admin verify c
    spr admin status --address 127.0.0.1:7401 --json
    """


@command.command()
@click.option(
    "--address",
    type=ADDRESS,
    default="127.0.0.1:7401",
    show_default=True,
    help="The coordinator's admin port.",
)
@click.option("--timeout", type=SECONDS, default=5.0, show_default=True, help="For the answer; inf waits.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def status(address: str, timeout: float | None, as_json: bool) -> None:
    """Show the served collection, every worker's state, and what was answered.

    The exit code is 0 when every worker serves, 1 when one does not, 4 when the coordinator is away.

    \b
    spr admin status
    """
    import grpc

    from spr.v1.admin_service_pb2 import GetStatusRequest
    from spr.v1.admin_service_pb2_grpc import AdminServiceStub

    try:
        with grpc.insecure_channel(address) as channel:
            response = AdminServiceStub(channel).GetStatus(GetStatusRequest(), timeout=timeout)
    except grpc.RpcError as error:
        _fail(error, address)
    if as_json:
        from spr_cli.output import message_values, print_json

        print_json(message_values(response))
    else:
        _print(response)
    if any(worker.state != worker.STATE_SERVING for worker in response.workers):
        sys.exit(1)


@command.command()
@click.argument("collection", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--generation", default="", help="Its id. [default: the served one]")
def verify(collection: Path, generation: str) -> None:
    """Read every byte of a generation and compare with the manifest's checksums.

    Workers do the same with their own files when they start, and slowly all the time.

    \b
    spr admin verify c
    """
    from engine import manifest

    directory = manifest.generation_dir(collection, generation)
    about = manifest.read(directory)
    manifest.verify(directory, about)
    size = sum(entry.bytes for entry in about.files.values())
    click.echo(f"{directory}: {len(about.files)} files, {size / 2**20:.0f} MB, as the manifest says")


def _fail(error: Any, address: str) -> NoReturn:
    """Say why there is no status. error: the grpc.RpcError."""
    import grpc

    from engine.printable import printable

    wrong = error.code() is grpc.StatusCode.UNIMPLEMENTED
    what = "is no coordinator's admin port" if wrong else "is no coordinator that answers"
    click.echo(f"spr: {printable(f'at {address} {what}: {error.details()}')}", err=True)
    sys.exit(4)


def _print(response: "GetStatusResponse") -> None:
    from engine.printable import printable

    served = response.collection
    click.echo(
        f"collection '{printable(served.name)}', generation {served.generation}: {served.videos} videos, "
        f"{served.segments} segments in {served.shard_count} shards ({served.index_factory})"
    )
    if served.newest_generation not in ("", served.generation):
        click.echo(f"generation {served.newest_generation} is newer on disk: restart the service to serve it")
    click.echo(f"encoder {served.embedding_model}, ranker {served.ranker_model or 'unknown'}")
    _print_workers(response)
    click.echo(
        f"up {response.uptime.seconds} s: {response.searches_answered} searches answered "
        f"({response.searches_degraded} degraded), {response.searches_failed} failed"
    )


def _print_workers(response: "GetStatusResponse") -> None:
    """Print a line for each worker, never cut or folded, and what is wrong with it on a line of its own."""
    rows = [("worker", "target", "state", "videos", "segments", "memory")]
    for worker in response.workers:
        state = worker.State.Name(worker.state).removeprefix("STATE_").replace("_", " ").lower()
        memory = f"{worker.bytes_resident / 2**20:.0f} MB"
        rows.append((worker.name, worker.target, state, str(worker.videos), str(worker.segments), memory))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    faults = ["", *(worker.last_error for worker in response.workers)]
    for row, fault in zip(rows, faults, strict=True):
        cells = [cell.ljust(width) for cell, width in zip(row[:3], widths[:3], strict=True)]
        cells += [cell.rjust(width) for cell, width in zip(row[3:], widths[3:], strict=True)]
        click.echo("  ".join(cells))
        if fault:
            click.echo(f"    {fault}")
