"""`spr search`: a sentence or examples, a table of moments."""

import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NoReturn

import click

from spr_cli import search_evidence, search_export, search_pictures, search_query
from spr_cli.example_options import of_examples
from spr_cli.filter_options import of_parts, of_videos, taken
from spr_cli.options import ADDRESS, COUNT, SECONDS, WORDS, Number, access

if TYPE_CHECKING:
    from spr_client import Client, Composed, Moment, Options, Part, SearchResult

MOST_ALSO = 3  # videos a row names; --json has them all


@click.command()
@click.argument("text", type=WORDS, default="", required=False)
@click.option("--address", type=ADDRESS, default="127.0.0.1:7400", show_default=True, help="The coordinator.")
@click.option("--top", default=10, show_default=True, type=click.IntRange(1, 100), help="Moments to show.")
@click.option("--collection", type=WORDS, default="", help="Its name.  [default: the first]")
@click.option("--version", type=WORDS, default="", help="A prepared version, by id or number.")
@click.option("--progressive", is_flag=True, help="Show the coarse list first, then the refined one.")
@click.option("--no-rerank", is_flag=True, help="Coarse proposals only.")
@click.option("--segment-top-k", type=click.IntRange(1, 2000), help="Segments fetched before merging.")
@click.option("--proposal-top-k", type=COUNT, help="Proposals the ranker sees.")
@click.option("--nprobe", type=COUNT, help="IVF lists probed.")
@click.option("--nms-iou", type=Number(0, 1), help="Drop moments that overlap a better one by more.")
@click.option("--min-coverage", type=Number(0, 1), help="Fail below this share of the videos.")
@click.option("--constant-gap", type=COUNT, help="Bridge so many missing segments.")
@click.option("--adaptive-gap", type=Number(0, 1), help="Bridge gaps up to this share.")
@click.option("--adjacent", is_flag=True, default=None, help="Join adjacent segments only, as published.")
@click.option("--peaks", type=click.IntRange(0, 100), help="Best segments, widened by so many on both sides.")
@search_query.options
@search_evidence.options
@of_examples
@of_videos
@of_parts
@click.option("--per-video", type=COUNT, help="Show at most so many moments of a video.")
@click.option("--grouped", is_flag=True, default=None, help="Show a video's moments together.")
@click.option("--facets", is_flag=True, default=None, help="Count the labels of the videos found.")
@click.option(
    "--merge-duplicates",
    is_flag=True,
    default=None,
    help="Show once what several videos show.",
)
@click.option("--timeout", type=SECONDS, default=10.0, show_default=True, help="For the answer; inf waits.")
@click.option("--request-id", type=WORDS, default="", help="What the servers' logs call this search.")
@search_export.options
@search_pictures.options
@click.option("--timings", is_flag=True, help="Show what took how long.")
@access
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object (with --progressive: two).")
def command(
    text: str,
    address: str,
    top: int,
    collection: str,
    version: str,
    progressive: bool,
    no_rerank: bool,
    timeout: float | None,
    request_id: str,
    timings: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Ask a running service for moments that show TEXT, or look like pictures and clips.

    \b
    spr search "a goal" --label sports --after 2024-01-01 --from 50% --per-video 1
    spr search "a red ball bounces" --then "a blue square spins" --within 20 --not "a triangle"
    spr search "where does a ball bounce after 1:00, without red?" --json | jq .moments[0]
    spr search "@anna waves" --image ball.jpg --like video_00012@12-20 --export clips --media videos
    spr search "the rocket launches" --in said --in written --why
    """
    from spr_client import Client, SearchError

    keep = search_export.chosen(options, {"--progressive": progressive, "--json": as_json})
    more = [module.chosen(options, as_json) for module in (search_evidence, search_pictures)]
    query, chosen = search_query.taken(text, options), _options(options, no_rerank)
    show = _print_json if as_json else _print_table
    asked = {"page_size": top, "timeout": timeout, "request_id": request_id, "options": chosen}
    try:
        with Client(address, collection=collection, version=version) as client:
            for found in _answers(client, query, progressive, asked):
                if keep is not None:
                    sys.exit(keep.save(text or "examples", found, _footer(found, timings)))
                show(found, timings)
                for also in more:
                    also(found)
    except SearchError as error:
        fail(error, as_json)


def _answers(
    client: "Client", query: "str | Part | Composed", progressive: bool, asked: Mapping[str, Any]
) -> "Iterator[SearchResult]":
    if progressive:
        yield from client.search_progressive(query, **asked)
    else:
        yield client.search(query, **asked)


def _options(options: dict[str, Any], no_rerank: bool) -> "Options":
    """Return how to answer; UsageError for two rules of proposals."""
    from spr_client import Options
    from spr_client.types import RULES

    rules = [name for name in RULES if options[name] is not None]
    if len(rules) > 1:
        flags = " and ".join(f"--{name.replace('_', '-')}" for name in rules)
        raise click.UsageError(f"{flags} are two rules; give one of them")
    return Options(filter=taken(options), rerank=False if no_rerank else None, **options)


def fail(error: Any, as_json: bool) -> NoReturn:
    """End with a failed call's sentence and exit code."""
    from engine.printable import printable
    from spr_cli.output import print_json
    from spr_client import InvalidInput, Mismatch, NotFound, PermissionDenied, Unauthenticated

    said = str(error)
    if error.reason == "UNAVAILABLE":
        remedy = "Start a service with `spr serve topology.toml`, or name another with --address."
        said = f"{said.rstrip('.')}. {remedy}"
    if error.reason == "DEADLINE_EXCEEDED":
        said = f"{said.rstrip('.')}; --timeout gives an answer more seconds."
    if as_json:
        print_json({"error": said, "reason": error.reason, "request_id": error.request_id})
    click.echo(f"spr: {printable(said)}", err=True)
    codes = {InvalidInput: 2, NotFound: 2, Mismatch: 3, Unauthenticated: 5, PermissionDenied: 5}
    sys.exit(codes.get(type(error), 4))


def _print_json(result: "SearchResult", timings: bool) -> None:
    import dataclasses

    from spr_cli.output import print_json

    print_json(dataclasses.asdict(result))


def _print_table(result: "SearchResult", timings: bool) -> None:
    from spr_cli.output import print_table

    if line := search_query.understood(result):
        click.echo(line)
    if result.no_confident_match:
        click.echo(f"no confident match: {_unsure(result)}; these are the nearest:")
    if result.moments:
        known = any(moment.confidence is not None for moment in result.moments)
        headings = ("rank", "video", "start", "end", "score", *["sure"] * known, "")
        rows = (_row(moment, known) for moment in result.moments)
        print_table(headings, rows, right=("rank", "start", "end", "score", "sure"))
    else:
        click.echo("no moments")
    for line in _footer(result, timings):
        click.echo(line)


def _row(moment: "Moment", known: bool) -> tuple[str, ...]:
    from spr_client import clock

    sure = "" if moment.confidence is None else f"{moment.confidence:.0%}"
    spans = (str(moment.rank), moment.video, clock(moment.start), clock(moment.end), f"{moment.score:.3f}")
    how = "refined" if moment.refined else "coarse"
    where = [f"{clock(start)}-{clock(end)}" for start, end in moment.parts]
    also = [f"also in {other.video} at {clock(other.start)}" for other in moment.also_in[:MOST_ALSO]]
    also += [f"and {more} more"] if (more := len(moment.also_in) - MOST_ALSO) > 0 else []
    return (*spans, *[sure] * known, ", ".join([how, *where, *also]))


def _unsure(result: "SearchResult") -> str:
    """Return how sure the ranker is at best, and how sure it would have to be."""
    best = max((moment.confidence or 0.0 for moment in result.moments), default=0.0)
    return f"at best {best:.1%} sure, and {result.confidence_threshold or 0.0:.1%} is needed"


def _footer(result: "SearchResult", timings: bool) -> list[str]:
    from engine.printable import printable

    coverage = result.coverage
    ranker = f"ranked by {result.ranker}" if result.ranker else "not refined"
    lines = [
        f"{len(result.moments)} of {result.total} moments, {ranker}, "
        f"{coverage.videos_searched} of {coverage.videos_total} videos searched"
    ]
    if result.videos_allowed is not None:
        lines[0] += f", {result.videos_allowed} of them let through by the filter"
    if result.facets:
        lines.append("labels: " + ", ".join(f"{printable(f.label)} {f.videos}" for f in result.facets))
    if result.query_truncated:
        lines.append("the query is longer than the encoder reads: its end was left out, ask a shorter one")
    if coverage.degraded:
        lost = f" ({', '.join(map(printable, coverage.unreachable))})" if coverage.unreachable else ""
        lines.append(f"degraded: {', '.join(coverage.degraded)}{lost}")
    if timings:
        lines.append(
            ", ".join(f"{stage} {1000 * seconds:.1f} ms" for stage, seconds in result.timings.items())
        )
    return lines
