"""`spr admin drain`: have a worker answer no new searches, so that it can be stopped."""

import time
from typing import TYPE_CHECKING, Any

import click

from spr_cli.admin_calls import AS_JSON, AT, end, operator, patience
from spr_cli.options import WORDS

if TYPE_CHECKING:
    from spr.v1.admin_service_pb2 import Worker

LOOK = 0.2  # seconds between looks at what is in flight
CALL = 10.0  # seconds of one call


@click.command()
@click.argument("worker", type=WORDS)
@AT
@click.option("--undo", is_flag=True, help="Take new searches again.")
@click.option("--wait", is_flag=True, help="End when no search is in flight at the worker.")
@click.option("--force", is_flag=True, help="Drain it although nothing else does its work.")
@patience(60.0, "With --wait: for what is in flight")
@AS_JSON
def command(
    worker: str, address: str, undo: bool, wait: bool, force: bool, timeout: float | None, as_json: bool
) -> None:
    """Have WORKER answer no new searches and end those in flight.

    WORKER is shard-00000@HOST:PORT, ranker-0 or HOST:PORT. Its replicas do its work. The last one of a shard
    is refused. A restart of the worker undoes it.

    \b
    spr admin drain shard-00000@127.0.0.1:7410 --wait
    spr admin drain ranker-0 --undo
    """
    from spr.v1.admin_service_pb2 import DrainWorkerRequest

    request = DrainWorkerRequest(worker=worker, undo=undo, force=force)
    with operator(address, as_json) as stub:
        found = stub.DrainWorker(request, timeout=CALL).worker
        if wait and not undo:
            found = _waited(stub, found, timeout, as_json)
    label = f"{found.name}@{found.target}"
    if as_json:
        from spr_cli.output import message_values, print_json

        print_json(message_values(found))
    elif undo:
        click.echo(f"{label} takes new searches again")
    else:
        click.echo(f"{label} takes no new searches until --undo or its restart; {_in_flight(found)}")


def _waited(stub: Any, worker: "Worker", timeout: float | None, as_json: bool) -> "Worker":
    """Return the worker's state as soon as nothing is in flight there, or it is gone."""
    from spr.v1.admin_service_pb2 import GetStatusRequest

    ends = None if timeout is None else time.monotonic() + timeout
    while worker.calls_in_flight:
        if ends is not None and time.monotonic() >= ends:
            label = f"{worker.name}@{worker.target}"
            end(f"{label} drains, {_in_flight(worker)} after {timeout:g} s", "DEADLINE_EXCEEDED", 4, as_json)
        time.sleep(LOOK)
        workers = stub.GetStatus(GetStatusRequest(), timeout=CALL).workers
        key = worker.name, worker.target
        found = next((one for one in workers if (one.name, one.target) == key), None)
        if found is None:
            # The topology has it no more.
            worker.calls_in_flight = 0
            break
        worker = found
    return worker


def _in_flight(worker: "Worker") -> str:
    n = worker.calls_in_flight
    return f"{n or 'no'} {'call is' if n == 1 else 'calls are'} in flight"
