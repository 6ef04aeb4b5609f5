"""`spr admin status`: the served collection and every worker."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import click

from spr_cli.admin_calls import AS_JSON, AT, COLLECTION, failure, operator, patience
from spr_cli.options import Number, leave_out

if TYPE_CHECKING:
    from google.protobuf.duration_pb2 import Duration

    from spr.v1.admin_service_pb2 import GetStatusResponse, RecentCalls, Worker

HEADINGS = (
    "worker",
    "target",
    "state",
    "version",
    "videos",
    "calls/s",
    "p50",
    "p99",
    "open",
    "queue",
    "memory",
)
_LEFT = 3  # columns that are left-justified


@click.command()
@AT
@COLLECTION
@patience(5.0)
@click.option("--watch", is_flag=True, help="Show it again and again, until Ctrl-C.")
@click.option(
    "--interval",
    type=Number(0.1, 3600),
    default=1.0,
    show_default=True,
    help="With --watch: seconds.",
)
@click.option("--count", type=click.IntRange(1), help="With --watch: stop after so many times.")
@AS_JSON
def command(
    address: str,
    collection: str,
    timeout: float | None,
    watch: bool,
    interval: float,
    count: int | None,
    as_json: bool,
) -> None:
    """Show the served collection, every worker's state, and what was answered.

    The exit code is 0 when every worker serves, 1 when one does not, 4 when the coordinator is away.

    \b
    spr admin status
    spr admin status --collection lectures --json
    spr admin status --watch
    """
    from spr.v1.admin_service_pb2 import GetStatusRequest

    request = GetStatusRequest(collection=collection)
    if watch:
        _watch(address, request, timeout, interval, count, as_json)
        return
    leave_out("this shows the state once, and only --watch goes on", "interval", "count")
    with operator(address, as_json) as stub:
        response = stub.GetStatus(request, timeout=timeout)
    if as_json:
        _print_json(response)
    else:
        click.echo("\n".join(lines(response)))
    if any(worker.state != worker.STATE_SERVING for worker in response.workers):
        sys.exit(1)


def _watch(
    address: str, request: Any, timeout: float | None, interval: float, count: int | None, as_json: bool
) -> None:
    """Show the state every `interval` seconds; a coordinator that is away is waited for."""
    import grpc

    from spr_cli.output import print_json

    left = count
    with (
        contextlib.suppress(KeyboardInterrupt),
        operator(address, as_json) as stub,
        _screen() as show,
    ):
        while True:
            began = time.monotonic()
            try:
                response = stub.GetStatus(request, timeout=timeout)
            except grpc.RpcError as error:
                sentence, reason, _ = failure(error, address)
                print_json({"error": sentence, "reason": reason}) if as_json else show([f"spr: {sentence}"])
            else:
                _print_json(response) if as_json else show(list(lines(response)))
            left = None if left is None else left - 1
            if left == 0:
                return
            time.sleep(max(0.0, interval - (time.monotonic() - began)))


@contextlib.contextmanager
def _screen() -> Iterator[Callable[[list[str]], None]]:
    """Yield what shows lines in place of the last ones; where no terminal is, below them."""
    if not sys.stdout.isatty():
        yield lambda shown: click.echo("\n".join([*shown, ""]))
        return
    from rich.live import Live
    from rich.text import Text

    with Live(auto_refresh=False, vertical_overflow="crop") as live:

        def show(shown: list[str]) -> None:
            text = Text("\n".join(shown), no_wrap=True, overflow="ellipsis")
            text.highlight_regex(r"(?m)^worker .*$", "bold")
            text.highlight_words([" unreachable ", " not serving "], "bold red")
            text.highlight_words([" draining "], "yellow")
            live.update(text, refresh=True)

        yield show


def _print_json(response: "GetStatusResponse") -> None:
    from spr_cli.output import message_values, print_json

    print_json(message_values(response))


def lines(response: "GetStatusResponse") -> Iterator[str]:
    """Yield the lines of text that show the state: the collection, a table of workers, and counts."""
    from engine.printable import printable
    from spr.v1.types_pb2 import Channel

    served = response.collection
    if served.generation:
        yield (
            f"collection '{printable(served.name)}', version {served.generation}: {served.videos} videos, "
            f"{served.segments} segments in {served.shard_count} shards ({served.index_factory})"
        )
        yield f"{served.parts} parts, {served.deleted_videos} deleted videos in them"
        yield f"encoder {served.embedding_model}, ranker {served.ranker_model or 'unknown'}"
        if served.text_channels:
            names = (Channel.Name(one).removeprefix("CHANNEL_").lower() for one in served.text_channels)
            yield f"texts {' and '.join(names)}, text encoder {printable(served.text_encoder) or 'none'}"
    else:
        yield f"collection '{printable(served.name)}' has no version that is served"
    if served.fault:
        yield f"version {served.newest_generation} is not served: {printable(served.fault)}"
    elif served.newest_generation not in ("", served.generation):
        yield f"version {served.newest_generation} is being prepared"
    yield from _table(response)
    yield from map(printable, response.topology_faults)
    yield (
        f"up {response.uptime.seconds} s: {response.searches_answered} searches answered "
        f"({response.searches_degraded} degraded), {response.searches_failed} failed"
    )
    rate, p50, p99 = _recent(response.searches)
    yield f"last minute: {rate} searches/s, p50 {p50}, p99 {p99}"


def _table(response: "GetStatusResponse") -> Iterator[str]:
    """Yield a line for each worker, never cut or folded, and what is wrong with it on a line of its own."""
    from engine.printable import printable

    rows = [HEADINGS, *map(_row, response.workers)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    faults = ["", *(worker.last_error for worker in response.workers)]
    for row, fault in zip(rows, faults, strict=True):
        cells = [cell.ljust(width) for cell, width in zip(row[:_LEFT], widths, strict=False)]
        cells += [cell.rjust(width) for cell, width in zip(row[_LEFT:], widths[_LEFT:], strict=True)]
        yield "  ".join(cells)
        if fault:
            yield f"    {printable(fault)}"


def _row(worker: "Worker") -> tuple[str, ...]:
    return (
        worker.name,
        worker.target,
        worker.State.Name(worker.state).removeprefix("STATE_").replace("_", " ").lower(),
        worker.generation.partition("-")[0].lstrip("0"),
        str(worker.videos),
        *(_recent(worker.calls) if worker.HasField("calls") else ("", "", "")),
        str(worker.outstanding),
        str(worker.calls_waiting),
        f"{worker.bytes_resident / 2**20:.0f} MB",
    )


def _recent(calls: "RecentCalls") -> tuple[str, str, str]:
    """Return the rate, the median and the 99th percentile, "-" where there was no call."""

    def shown(name: str, duration: "Duration") -> str:
        return _milliseconds(duration.ToTimedelta().total_seconds()) if calls.HasField(name) else "-"  # type: ignore[arg-type]

    return f"{calls.per_second:.1f}", shown("p50", calls.p50), shown("p99", calls.p99)


def _milliseconds(seconds: float) -> str:
    """Return a time with two digits that count: the histogram knows no more."""
    return f"{1000 * seconds:.2g} ms" if seconds < 0.0995 else f"{1000 * seconds:.0f} ms"
