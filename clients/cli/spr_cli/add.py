"""`spr add`: video files become searchable."""

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from spr_cli.options import AS_JSON, COLLECTION, DEVICE

if TYPE_CHECKING:
    from trainer.library.ingesting import Added

HELP = """Add videos to COLLECTION: ingest them with its encoder, and make a version that has them.

VIDEOS are files, or folders that are searched with all below them. Videos that are there unchanged are told
and left alone, changed ones are replaced, and a file that cannot be read never stops the rest. A running
service takes the version up by itself; `spr admin add` is faster, since its models are loaded.

After an interruption of any kind the same command goes on where it stopped. Exit code: 0 when all is added,
1 when some file or folder failed, 2 when nothing could begin, 130 when it was stopped by Ctrl-C.

\b
spr add c talk.mp4
spr add c ~/videos/new talk.mp4 --json | jq .version
"""


@click.command(help=HELP)
@click.argument("collection", type=COLLECTION)
@click.argument("videos", nargs=-1, required=True, type=click.Path(path_type=Path))
@DEVICE
@AS_JSON
def command(collection: Path, videos: tuple[Path, ...], device: str, as_json: bool) -> None:
    """Ingest and add; what can be refused is refused before a model loads."""
    from engine.version_lock import only_writer
    from spr_cli.ingest import bar, ending_at_once
    from spr_cli.output import print_json

    with ending_at_once(), only_writer(collection, "add"), contextlib.ExitStack() as stack:
        from trainer.library.ingesting import add_files
        from trainer.library.kits import Kits

        added = add_files(collection, list(videos), Kits(device), bar(stack))
    for line in lines(added):
        click.echo(line, err=as_json)
    if as_json:
        print_json(values(added))
    sys.exit(1 if added.summary.failed else 0)


def lines(added: "Added") -> list[str]:
    """Return what came of it, for people."""
    change = added.change
    told = [*added.summary.lines(), *(f"note     {note}" for note in change.notes)]
    told += [f"unchanged {video}" for video in change.unchanged]
    told += [f"added     {video}" for video in change.videos]
    made = f"version {change.version}"
    return [*told, f"searchable in {made}" if change.videos else f"{made} has all of them already"]


def values(added: "Added") -> dict[str, Any]:
    """Return what came of it, for programs."""
    change = added.change
    about = {"version": change.version, "added": list(change.videos), "unchanged": list(change.unchanged)}
    return about | {"ingest": added.summary.as_json()}
