"""`spr admin activate` and `rollback`: switch to another version while searches go on."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from spr_cli.admin_calls import AS_JSON, AT, COLLECTION, operator, patience
from spr_cli.options import ADDRESS, WORDS, Number

if TYPE_CHECKING:
    from spr.v1.admin_service_pb2 import ActivateVersionResponse
    from trainer.collection.annotations import JudgedQuery

FILE = click.Path(path_type=Path, dir_okay=False, exists=True)


@click.command()
@click.argument("version", type=WORDS, default="")
@AT
@COLLECTION
@click.option("--prepare-only", is_flag=True, help="Prepare it, so that searches may name it; do not switch.")
@click.option("--gate", type=FILE, help="Judged queries: refuse a version that answers them worse.")
@click.option(
    "--min-ndcg-change",
    type=Number(-1, 1),
    default=-0.01,
    show_default=True,
    help="With --gate: the least change of NDCG@10 at IoU 0.5 from the active version to this one.",
)
@click.option(
    "--searches",
    type=ADDRESS,
    default="127.0.0.1:7400",
    show_default=True,
    help="With --gate: the coordinator's port for searches.",
)
@patience(600.0, "For the workers to prepare it")
@AS_JSON
def activate(
    version: str,
    address: str,
    collection: str,
    prepare_only: bool,
    gate: Path | None,
    min_ndcg_change: float,
    searches: str,
    timeout: float | None,
    as_json: bool,
) -> None:
    """Prepare VERSION (id or number; without one what CURRENT names) on all workers, then switch to it.

    Searches go on: those in flight and further pages stay on the old version. Where no worker of a shard can
    prepare it, or the gate refuses it, the old version stays and the exit code is 3.

    \b
    spr admin activate 42
    spr admin activate 42 --gate c/annotations/val.json --min-ndcg-change -0.01
    """
    from spr.v1.admin_service_pb2 import ActivateVersionRequest
    from spr_cli.output import message_values, print_json

    if gate is not None and prepare_only:
        raise click.UsageError("--gate measures in order to switch; leave --prepare-only away")
    queries = _queries(gate)
    measured, only = None, prepare_only or gate is not None
    with operator(address, as_json) as stub:
        request = ActivateVersionRequest(collection=collection, version=version, prepare_only=only)
        done = stub.ActivateVersion(request, timeout=timeout)
        if gate is not None:
            from spr_cli.admin_gate import passed

            measured = passed(queries, done, collection, searches, min_ndcg_change, as_json)
            request = ActivateVersionRequest(collection=collection, version=done.version)
            done = stub.ActivateVersion(request, timeout=timeout)
    if as_json:
        print_json(message_values(done) | ({} if measured is None else {"gate": measured}))
    else:
        _print(done, prepare_only)


@click.command()
@AT
@COLLECTION
@patience(600.0, "For the workers to prepare it")
@AS_JSON
def rollback(address: str, collection: str, timeout: float | None, as_json: bool) -> None:
    """Switch back to the version that the active one was made from.

    A restart serves it as well; the next change of the collection builds on it.

    \b
    spr admin rollback
    """
    from spr.v1.admin_service_pb2 import ActivateVersionRequest
    from spr_cli.output import message_values, print_json

    with operator(address, as_json) as stub:
        request = ActivateVersionRequest(collection=collection, roll_back=True)
        done = stub.ActivateVersion(request, timeout=timeout)
    if as_json:
        print_json(message_values(done))
    else:
        _print(done, prepare_only=False)


def _queries(gate: Path | None) -> "list[JudgedQuery]":
    """Read the judged queries of a gate, before anything is prepared for them."""
    if gate is None:
        return []
    from trainer.collection.annotations import load_queries

    return load_queries(gate)


def _print(done: "ActivateVersionResponse", prepare_only: bool) -> None:
    from engine.printable import printable

    seconds = done.elapsed.seconds + done.elapsed.nanos / 1e9
    if prepare_only:
        click.echo(f"version {done.version} is prepared ({seconds:.1f} s); {done.previous} stays active")
    elif done.previous == done.version:
        click.echo(f"version {done.version} is active, as it was")
    else:
        click.echo(f"version {done.version} is active ({seconds:.1f} s); before: {done.previous or 'none'}")
    for one in done.left_out:
        click.echo(f"left out: {one.worker} at {one.target}: {printable(one.why)}")
