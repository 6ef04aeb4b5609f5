"""`spr videos`: what is in a collection."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from spr_cli.filter_options import of_videos, taken
from spr_cli.options import ADDRESS, SECONDS, WORDS, access, leave_out

if TYPE_CHECKING:
    from spr_client import Filter, Video


@click.command()
@click.argument("directory", required=False, type=click.Path(path_type=Path, file_okay=False, exists=True))
@click.option("--address", type=ADDRESS, default="127.0.0.1:7400", show_default=True, help="The coordinator.")
@click.option("--collection", type=WORDS, default="", help="Its name.  [default: the first]")
@of_videos
@click.option("--timeout", type=SECONDS, default=10.0, show_default=True, help="For a page of 1000.")
@access
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object a line instead of a table.")
def command(
    directory: Path | None,
    address: str,
    collection: str,
    timeout: float | None,
    as_json: bool,
    **chosen: Any,
) -> None:
    """List the videos of a collection: of DIRECTORY, or of one that a running service serves.

    \b
    spr videos
    spr videos c --label news --longer 10:00
    spr videos --collection lectures --json | jq -r .id
    """
    from spr_cli.output import print_table
    from spr_cli.search import fail
    from spr_client import SearchError

    if directory is not None:
        leave_out("DIRECTORY is read from the disk, without a service", "address", "collection", "timeout")
    wanted = taken(chosen)
    found = _stored(directory, wanted) if directory else _served(address, collection, wanted, timeout)
    try:
        if as_json:
            for video in found:
                _print_line(video)
            return
        rows = list(map(_row, found))
    except SearchError as error:
        fail(error, as_json)
    print_table(("video", "duration", "date", "added", "labels", "file"), rows, right=("duration",))
    click.echo(f"{len(rows)} video{'' if len(rows) == 1 else 's'}")


def _print_line(video: "Video") -> None:
    from spr_cli.output import print_json

    times = {"date": video.date, "added": video.added}
    print_json(dataclasses.asdict(video) | {name: at and at.isoformat() for name, at in times.items()})


def _row(video: "Video") -> tuple[str, ...]:
    from urllib.parse import unquote

    from spr_client import clock

    days = (f"{at:%Y-%m-%d}" if at else "" for at in (video.date, video.added))
    # As people call the file; a byte that is no UTF-8 is shown as such.
    file = unquote(video.uri.removeprefix("file://"), errors="backslashreplace")
    return (video.id, clock(video.duration), *days, ", ".join(video.labels), file)


def _served(
    address: str, collection: str, wanted: "Filter | None", timeout: float | None
) -> "Iterator[Video]":
    from spr_client import Client

    with Client(address, collection=collection) as client:
        yield from client.videos(wanted, timeout=timeout)


def _stored(directory: Path, wanted: "Filter | None") -> "Iterator[Video]":
    """Yield the videos of the current version of a collection on disk."""
    import numpy as np

    from engine.corpus import open_corpus
    from engine.filters import Filters
    from engine.video_list import video_to_pb
    from engine.wire_filter import filter_from_pb
    from spr_client.translate_filter import filter_to_pb, video_from_pb
    from spr_client.types import Filter

    corpus = open_corpus(directory)
    allowed = Filters(corpus.catalogue).resolve(filter_from_pb(filter_to_pb(wanted or Filter())))
    for ordinal in np.flatnonzero(allowed.videos).tolist():
        yield video_from_pb(video_to_pb(corpus, ordinal, "full"))
