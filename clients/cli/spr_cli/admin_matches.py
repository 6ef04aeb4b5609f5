"""`spr admin matches`: what standing searches found."""

import contextlib
import itertools
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from spr_cli.admin_calls import AS_JSON, AT, COLLECTION, called, patience
from spr_cli.options import WORDS, leave_out

if TYPE_CHECKING:
    from spr.v1.standing_service_pb2 import Match, WatchMatchesRequest
    from spr.v1.standing_service_pb2_grpc import StandingServiceStub

AGAIN = 1.0  # seconds until a stream that broke is asked for again
# Options that do nothing with --follow, and without it.
IDLE = {True: ("limit", "timeout"), False: ("after", "count")}


@click.command()
@click.option("--watch", "search_id", metavar="ID", type=WORDS, default="", help="Only of this search.")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 1000), help="Newest matches.")
@click.option("--follow", is_flag=True, help="Print matches as they are found, until Ctrl-C.")
@click.option(
    "--after", type=click.IntRange(0, 2**63 - 1), help="With --follow: go on behind the match of this number."
)
@click.option("--count", type=click.IntRange(1), help="With --follow: stop after so many.")
@AT
@COLLECTION
@patience(10.0)
@AS_JSON
def matches(
    search_id: str,
    limit: int,
    follow: bool,
    after: int | None,
    count: int | None,
    address: str,
    collection: str,
    timeout: float | None,
    as_json: bool,
) -> None:
    """Show what standing searches found, newest first; with --follow as it is found, oldest first.

    A stream that breaks is asked for again where it ended, so no match is missed.

    \b
    spr admin matches
    spr admin matches --watch falls --json
    spr admin matches --follow --after 0
    """
    from spr.v1.standing_service_pb2 import ListMatchesRequest, WatchMatchesRequest
    from spr.v1.standing_service_pb2_grpc import StandingServiceStub
    from spr_cli.output import message_values, print_json, print_table

    leave_out(f"this is {'with' if follow else 'without'} --follow", *IDLE[follow])
    with called(address, as_json) as channel:
        stub = StandingServiceStub(channel)
        if follow:
            of = {"collection": collection, "standing_search_id": search_id}
            _follow(stub, WatchMatchesRequest(**of, after=after), count, as_json)
            return
        request = ListMatchesRequest(collection=collection, standing_search_id=search_id, page_size=limit)
        response = stub.ListMatches(request, timeout=timeout)
    if as_json:
        print_json(message_values(response))
    elif response.matches:
        headings = ("number", "search", "video", "from", "to", "sure", "time")
        print_table(headings, map(_row, response.matches), right=("number", "from", "to", "sure"))
    else:
        click.echo("no matches")


def _follow(
    stub: "StandingServiceStub", asked: "WatchMatchesRequest", count: int | None, as_json: bool
) -> None:
    """Print matches as they are found, all or `count` of them."""
    from spr_cli.output import message_values, print_json

    with contextlib.suppress(KeyboardInterrupt):
        for match in itertools.islice(_followed(stub, asked), count):
            print_json(message_values(match)) if as_json else click.echo("  ".join(_row(match)))


def _followed(stub: "StandingServiceStub", asked: "WatchMatchesRequest") -> "Iterator[Match]":
    """Yield matches; a service that goes away meanwhile is waited for."""
    import grpc

    from spr.v1.standing_service_pb2 import ListMatchesRequest
    from spr_client.errors import fault_of_tls

    # From where on none is missed, also where the stream breaks before the first. A service that is away
    # from the beginning is told.
    newest = stub.ListMatches(ListMatchesRequest(collection=asked.collection, page_size=1)).matches
    if not asked.HasField("after"):
        asked.after = max((match.number for match in newest), default=0)
    while True:
        try:
            for found in stub.WatchMatches(asked):
                asked.after = found.match.number
                yield found.match
        except grpc.RpcError as error:
            # A certificate that is not trusted any more does not come back by waiting.
            if error.code() is not grpc.StatusCode.UNAVAILABLE or fault_of_tls(error.details() or ""):
                raise
        time.sleep(AGAIN)


def _row(match: "Match") -> tuple[str, ...]:
    from engine.printable import printable
    from spr_client import clock

    start, end = match.span.start_offset, match.span.end_offset
    return (
        str(match.number),
        printable(match.name),
        printable(match.video_id),
        clock(start.seconds + start.nanos / 1e9),
        clock(end.seconds + end.nanos / 1e9),
        f"{match.confidence:.0%}",
        match.create_time.ToDatetime().strftime("%Y-%m-%d %H:%M:%S"),
    )
