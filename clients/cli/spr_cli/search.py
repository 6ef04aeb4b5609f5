"""`spr search`: one sentence, a table of moments."""

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from spr_cli.seconds import SECONDS

if TYPE_CHECKING:
    from spr_client import SearchResult


@click.command()
@click.argument("text")
@click.option("--address", default="127.0.0.1:7400", show_default=True, help="The coordinator.")
@click.option("--top", default=10, show_default=True, type=click.IntRange(1, 100), help="Moments to show.")
@click.option("--collection", default="", help="Refuse unless this collection is served.")
@click.option("--progressive", is_flag=True, help="Show the coarse list first, then the refined one.")
@click.option("--no-rerank", is_flag=True, help="Coarse proposals only.")
@click.option("--segment-top-k", type=click.IntRange(1, 2000), help="Segments fetched before merging.")
@click.option("--proposal-top-k", type=click.IntRange(min=1), help="Proposals the ranker sees.")
@click.option("--nprobe", type=click.IntRange(min=1), help="IVF lists probed.")
@click.option(
    "--nms-iou", type=click.FloatRange(0, 1), help="Drop moments that overlap a better one by more."
)
@click.option("--min-coverage", type=click.FloatRange(0, 1), help="Fail below this share of the videos.")
@click.option("--constant-gap", type=click.IntRange(min=1), help="Bridge so many missing segments.")
@click.option("--adaptive-gap", type=click.FloatRange(0, 1), help="Bridge gaps up to this share.")
@click.option("--adjacent", is_flag=True, default=None, help="Join adjacent segments only, as published.")
@click.option("--peaks", type=click.IntRange(0, 100), help="Best segments, widened by so many on both sides.")
@click.option("--timeout", default=10.0, show_default=True, type=SECONDS, help="Seconds; inf: no limit.")
@click.option("--request-id", default="", help="What the servers' logs call this search.")
@click.option("--timings", is_flag=True, help="Show what took how long.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object (with --progressive: two).")
def command(
    text: str,
    address: str,
    top: int,
    collection: str,
    progressive: bool,
    no_rerank: bool,
    timeout: float,
    request_id: str,
    timings: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Ask a running service for moments that show TEXT.

    \b
    spr search "a red ball bounces"
    spr search "something spins" --top 5 --progressive --timings
    spr search "two shapes meet" --json | jq .moments[0]
    """
    from spr_client import Client, Options, SearchError
    from spr_client.types import RULES

    rules = [name for name in RULES if options[name] is not None]
    if len(rules) > 1:
        flags = " and ".join(f"--{name.replace('_', '-')}" for name in rules)
        raise click.UsageError(f"{flags} are two rules; give one of them")
    chosen = Options(**options, rerank=False if no_rerank else None)
    show = _print_json if as_json else _print_table
    asked: dict[str, Any] = {
        "page_size": top, "timeout": timeout, "request_id": request_id, "options": chosen,
    }  # fmt: skip
    try:
        with Client(address, collection=collection) as client:
            if progressive:
                for result in client.search_progressive(text, **asked):
                    show(result, timings)
            else:
                show(client.search(text, **asked), timings)
    except SearchError as error:
        _fail(error, as_json)


def _fail(error: Any, as_json: bool) -> None:
    from spr_client import InvalidInput, Mismatch, NotFound

    if as_json:
        known = {"error": str(error), "reason": error.reason, "request_id": error.request_id}
        click.echo(json.dumps(known))
    hint = ""
    if error.reason == "UNAVAILABLE":
        hint = ". Start a service with `spr serve topology.toml`."
    click.echo(f"spr: {error}{hint}", err=True)
    codes = {InvalidInput: 2, NotFound: 2, Mismatch: 3}
    sys.exit(codes.get(type(error), 4))


def _print_json(result: "SearchResult", timings: bool) -> None:
    import dataclasses

    click.echo(json.dumps(dataclasses.asdict(result), ensure_ascii=False))


def _print_table(result: "SearchResult", timings: bool) -> None:
    from rich.console import Console
    from rich.table import Table

    from spr_client import clock

    table = Table(box=None, pad_edge=False, header_style="bold")
    known = any(moment.confidence is not None for moment in result.moments)
    for name in ("rank", "video", "start", "end", "score", *["sure"] * known, ""):
        table.add_column(name, justify="left" if name in ("video", "") else "right")
    for moment in result.moments:
        refined = "refined" if moment.refined else "coarse"
        row = (str(moment.rank), moment.video, clock(moment.start), clock(moment.end), f"{moment.score:.3f}")
        sure = "" if moment.confidence is None else f"{moment.confidence:.0%}"
        table.add_row(*row, *[sure] * known, refined)
    console = Console(highlight=False, soft_wrap=True)
    if result.nothing_good:
        click.echo("nothing good found; these are the nearest:")
    if result.moments:
        console.print(table)
    else:
        click.echo("no moments")
    for line in _footer(result, timings):
        click.echo(line)


def _footer(result: "SearchResult", timings: bool) -> list[str]:
    coverage = result.coverage
    ranker = f"ranked by {result.ranker}" if result.ranker else "not refined"
    lines = [
        f"{len(result.moments)} of {result.total} moments, {ranker}, "
        f"{coverage.videos_searched} of {coverage.videos_total} videos searched"
    ]
    if result.query_truncated:
        lines.append("the query is longer than the encoder reads: its end was left out, ask a shorter one")
    if coverage.degraded:
        lost = f" ({', '.join(coverage.unreachable)})" if coverage.unreachable else ""
        lines.append(f"degraded: {', '.join(coverage.degraded)}{lost}")
    if timings:
        lines.append(
            ", ".join(f"{stage} {1000 * seconds:.1f} ms" for stage, seconds in result.timings.items())
        )
    return lines
