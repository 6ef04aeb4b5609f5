"""`spr admin watch`, `watches` and `unwatch`: standing searches, by which every added video is judged."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from spr_cli.admin_calls import AS_JSON, AT, COLLECTION, called, patience
from spr_cli.filter_options import of_parts, of_videos, taken
from spr_cli.options import WORDS, Number

if TYPE_CHECKING:
    from spr.v1.standing_service_pb2 import StandingSearch

PRECISION = 0.9
SHARE = Number(0, 1, min_open=True)


@click.command()
@click.argument("text", type=WORDS)
@click.option("--precision", type=SHARE, help="Share of the matches that is to be right.  [default: 0.9]")
@click.option("--confidence", type=SHARE, help="In place of it: the least confidence of a match.")
@click.option("--name", type=WORDS, default="", help="For people.  [default: the text]")
@click.option("--id", "id", type=WORDS, default="", help="Yours: a second one is not made again.")
@click.option("--webhook", type=WORDS, default="", help="http(s) URL to which every match is posted.")
@click.option(
    "--secret-file",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="File with the secret that signs what is posted (HMAC-SHA256).",
)
@click.option("--existing", is_flag=True, help="Judge the videos that are there already, too.")
@of_videos
@of_parts
@AT
@COLLECTION
@patience(30.0)
@AS_JSON
def watch(text: str, secret_file: Path | None, existing: bool, as_json: bool, **options: Any) -> None:
    """Judge every video that is added for TEXT, from now on.

    What is sure enough is a match: `spr admin matches` shows them, and a webhook is sent them. The precision
    is that on the judged queries of the ranker's validation: see docs/standing.md.

    \b
    spr admin watch "a person falls" --precision 0.9
    spr admin watch "a person falls" --webhook https://hooks.example.org/falls --secret-file secret
    """
    from spr.v1.standing_service_pb2 import CreateStandingSearchRequest, StandingSearch
    from spr.v1.standing_service_pb2_grpc import StandingServiceStub
    from spr_cli.output import message_values, print_json
    from spr_client.translate_filter import filter_to_pb

    address, timeout = options.pop("address"), options.pop("timeout")
    kind, sure = _sure(options)
    asked = StandingSearch(text=text)
    setattr(asked, kind, sure)
    if (wanted := taken(options)) is not None:
        asked.filter.CopyFrom(filter_to_pb(wanted))
    asked.MergeFrom(StandingSearch(**options))
    secret = _secret(secret_file) if secret_file else ""
    request = CreateStandingSearchRequest(standing_search=asked, webhook_secret=secret, existing=existing)
    with called(address, as_json) as channel:
        made = StandingServiceStub(channel).CreateStandingSearch(request, timeout=timeout).standing_search
    if as_json:
        print_json(message_values(made))
    else:
        _print(made)


@click.command()
@AT
@COLLECTION
@patience(10.0)
@AS_JSON
def watches(address: str, collection: str, timeout: float | None, as_json: bool) -> None:
    """List the standing searches, and how they get on.

    \b
    spr admin watches
    """
    from spr.v1.standing_service_pb2 import ListStandingSearchesRequest
    from spr.v1.standing_service_pb2_grpc import StandingServiceStub
    from spr_cli.output import message_values, print_json, print_table

    request = ListStandingSearchesRequest(collection=collection)
    with called(address, as_json) as channel:
        response = StandingServiceStub(channel).ListStandingSearches(request, timeout=timeout)
    if as_json:
        print_json(message_values(response))
        return
    if not response.standing_searches:
        click.echo("no standing searches")
        return
    headings = ("id", "name", "from", "waiting", "matches", "unsent", "")
    rows = map(_row, response.standing_searches)
    print_table(headings, rows, right=("from", "waiting", "matches", "unsent"))


@click.command()
@click.argument("search_id", metavar="ID", type=WORDS)
@AT
@COLLECTION
@patience(10.0)
@AS_JSON
def unwatch(search_id: str, address: str, collection: str, timeout: float | None, as_json: bool) -> None:
    """End a standing search, and forget its matches.

    \b
    spr admin unwatch falls
    """
    from spr.v1.standing_service_pb2 import DeleteStandingSearchRequest
    from spr.v1.standing_service_pb2_grpc import StandingServiceStub
    from spr_cli.output import print_json

    request = DeleteStandingSearchRequest(collection=collection, id=search_id)
    with called(address, as_json) as channel:
        StandingServiceStub(channel).DeleteStandingSearch(request, timeout=timeout)
    if as_json:
        print_json({"id": search_id})
    else:
        click.echo(f"standing search {search_id} has ended")


def _secret(path: Path) -> str:
    """Return the secret of a file; UsageError where it is none: what is posted would not be signed."""
    try:
        secret = path.read_text("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise click.UsageError(f"{path} is not UTF-8 text; write the secret as text") from None
    if not secret:
        raise click.UsageError(f"{path} holds no secret; write one into it, or leave --secret-file out")
    return secret


def _sure(options: dict[str, Any]) -> tuple[str, float]:
    """Take the precision or the confidence of a match out of the options, with its name."""
    precision, confidence = options.pop("precision"), options.pop("confidence")
    if precision is not None and confidence is not None:
        raise click.UsageError("--precision and --confidence are two ways to say how sure; give one of them")
    return ("precision", precision or PRECISION) if confidence is None else ("confidence", confidence)


def _print(made: "StandingSearch") -> None:
    from engine.printable import printable

    known = made.HasField("threshold")
    sure = f"from confidence {made.threshold:.3f} on" if known else "once a ranker with confidences is there"
    click.echo(f"standing search {printable(made.id)}: added videos match {sure}")
    if made.videos_waiting:
        click.echo(f"{made.videos_waiting} videos wait to be judged")


def _row(one: "StandingSearch") -> tuple[str, ...]:
    unsent = one.deliveries_waiting + one.deliveries_failed
    return (
        one.id,
        one.name or one.text,
        f"{one.threshold:.3f}" if one.HasField("threshold") else "",
        str(one.videos_waiting),
        str(one.matches),
        str(unsent) if one.webhook else "",
        one.fault,
    )
