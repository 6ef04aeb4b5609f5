"""`spr feedback`: a person's grade of a moment."""

from typing import TYPE_CHECKING

import click

from spr_cli.filter_options import CLOCK
from spr_cli.options import ADDRESS, SECONDS, WORDS, access

if TYPE_CHECKING:
    from spr_client import Feedback, Judgement


@click.command()
@click.argument("text", required=False, type=WORDS)
@click.argument("moment", required=False, type=WORDS, metavar="[VIDEO@START-END]")
@click.option("--grade", type=click.IntRange(0, 4), help="0: not what was asked for, to 4: exactly that.")
@click.option("--annotator", default="", type=WORDS, help="Who says so, where several share a token.")
@click.option("--list", "as_list", is_flag=True, help="List judgements, newest first; of TEXT, if given.")
@click.option("--delete", "deleted", multiple=True, type=WORDS, metavar="ID", help="Forget it; repeatable.")
@click.option("--address", type=ADDRESS, default="127.0.0.1:7400", show_default=True, help="The coordinator.")
@click.option("--collection", type=WORDS, default="", help="Its name.  [default: the first]")
@click.option("--timeout", type=SECONDS, default=20.0, show_default=True, help="For the answer; inf waits.")
@access
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object a judgement.")
def command(
    text: str | None,
    moment: str | None,
    grade: int | None,
    annotator: str,
    as_list: bool,
    deleted: tuple[str, ...],
    address: str,
    collection: str,
    timeout: float | None,
    as_json: bool,
) -> None:
    """Say how well a moment shows TEXT. It is on disk when the command ends.

    VIDEO@START-END is the moment as it should be, in seconds or as m:ss. Of one person's judgements of a
    query and overlapping spans the latest counts.

    \b
    spr feedback "a red ball bounces" talk@12-20 --grade 3
    spr feedback "a red ball bounces" news/2024@1:02-1:10.5 --grade 0
    spr feedback --list --json
    spr feedback --delete 5e0c9b7c
    """
    from spr_cli.search import fail
    from spr_client import Feedback, SearchError

    _check(text, moment, grade, as_list, deleted)
    try:
        with Feedback(address, collection=collection) as feedback:
            if deleted:
                _forget(feedback, deleted, timeout, as_json)
            elif as_list:
                _show(list(feedback.judgements(text or "", timeout=timeout)), as_json)
            else:
                judgement = _judgement(text or "", moment or "", grade or 0, annotator)
                _show(feedback.record([judgement], timeout), as_json)
    except SearchError as error:
        fail(error, as_json)


def _judgement(query: str, moment: str, grade: int, annotator: str) -> "Judgement":
    from spr_client import Judgement

    video, span = place_of(moment)
    return Judgement(query=query, video=video, span=span, grade=grade, annotator=annotator)


def place_of(moment: str) -> tuple[str, tuple[float, float]]:
    """Return the video and the seconds of VIDEO@START-END."""
    video, at, span = moment.rpartition("@")
    start, dash, end = span.partition("-")
    if not (video and at and dash):
        raise click.UsageError(f"{moment!r} is no moment; write VIDEO@START-END, such as talk@12-20")
    return video, (CLOCK.convert(start, None, None), CLOCK.convert(end, None, None))


def _check(text: str | None, moment: str | None, grade: int | None, as_list: bool, deleted: object) -> None:
    """Refuse (UsageError) what is not one of three things."""
    if as_list or deleted:
        if moment is not None or grade is not None or (as_list and deleted):
            raise click.UsageError("give one of --list, --delete, and a moment with --grade")
    elif text is None or moment is None or grade is None:
        raise click.UsageError('give a query, a moment and a grade: "a red ball" talk@12-20 --grade 3')


def _forget(feedback: "Feedback", ids: tuple[str, ...], timeout: float | None, as_json: bool) -> None:
    """Forget judgements and say how many; NotFound where there is none of them."""
    from spr_cli.output import print_json
    from spr_client import NotFound

    count = sum(feedback.delete(ids[first : first + 100], timeout) for first in range(0, len(ids), 100))
    if not count:
        message = f"there is no judgement {', '.join(ids)!r:.80}; `spr feedback --list` tells the ids"
        raise NotFound(message, "JUDGEMENT_NOT_FOUND")
    if as_json:
        print_json({"forgotten": count})
    else:
        click.echo(f"{count} forgotten")


def _show(judgements: "list[Judgement]", as_json: bool) -> None:
    import dataclasses

    from spr_cli.output import print_json, print_table

    if as_json:
        for one in judgements:
            print_json(dataclasses.asdict(one) | {"time": one.time and one.time.isoformat()})
        return
    headings = ("grade", "query", "video", "start", "end", "who", "when", "id")
    print_table(headings, map(_row, judgements), right=("grade", "start", "end"))


def _row(one: "Judgement") -> tuple[str, ...]:
    from spr_client import clock

    who = "/".join(filter(None, (one.who, one.annotator)))
    when = f"{one.time:%Y-%m-%d %H:%M}" if one.time else ""
    return (str(one.grade), one.query, one.video, clock(one.span[0]), clock(one.span[1]), who, when, one.id)
