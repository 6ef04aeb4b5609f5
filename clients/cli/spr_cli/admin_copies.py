"""`spr admin snapshot`, `restore`, `verify` and `gc`: work of the library process on whole collections."""

import os
from typing import Any

import click

from spr_cli.admin_waiting import run_job, submitted
from spr_cli.options import WORDS

VERSION = click.option("--version", type=WORDS, default="", help="Id or number.  [default: the current one]")


@click.command()
@click.argument("destination", type=WORDS)
@VERSION
@submitted
def snapshot(destination: str, version: str, **options: Any) -> None:
    """Copy a version and its parts to DESTINATION, a directory or an fsspec URL.

    \b
    spr admin snapshot /backup/c --wait
    """
    from spr.v1.admin_service_pb2 import Snapshot

    run_job(options, snapshot=Snapshot(destination=_place(destination), version=version))


@click.command()
@click.argument("source", type=WORDS)
@VERSION
@submitted
def restore(source: str, version: str, **options: Any) -> None:
    """Take a version from a snapshot at SOURCE, and make it the current one.

    \b
    spr admin restore /backup/c --wait
    """
    from spr.v1.admin_service_pb2 import Restore

    run_job(options, restore=Restore(source=_place(source), version=version))


@click.command()
@submitted
def verify(**options: Any) -> None:
    """Check every byte of every part, version and model, while searches go on.

    `spr verify COLLECTION` does it without a service.

    \b
    spr admin verify --wait
    """
    from spr.v1.admin_service_pb2 import Verify

    run_job(options, verify=Verify())


@click.command("gc")
@click.option(
    "--keep",
    type=click.IntRange(1, 10_000),
    help="Versions beside the current.  [default: the library's, 10]",
)
@submitted
def collect_garbage(keep: int | None, **options: Any) -> None:
    """Remove versions beyond the newest ones, and the parts that no other version lists.

    \b
    spr admin gc --keep 3 --wait
    """
    from spr.v1.admin_service_pb2 import CollectGarbage

    run_job(options, collect_garbage=CollectGarbage(keep=keep or 0))


def _place(given: str) -> str:
    return given if "://" in given else os.path.abspath(given)
