"""The options that say which videos, and which part of them, a command is about."""

import re
from collections.abc import Callable, MutableMapping
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import click

from spr_cli.options import WORDS

if TYPE_CHECKING:
    from spr_client import Filter

Command = TypeVar("Command", bound=Callable[..., Any])
_CLOCK = re.compile(r"(?:(?:(\d+):)?(\d{1,2}):)?(\d+(?:\.\d+)?)")


class _Date(click.ParamType[date]):
    """A day or a moment in ISO's form; UTC where it says no zone."""

    name = "date"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        """Return a datetime with a zone."""
        try:
            found = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no date; write 2024-05-01 or 2024-05-01T18:30", param, ctx)
        return found if found.tzinfo else found.replace(tzinfo=UTC)


class _Clock(click.ParamType[float]):
    """A time in a video: seconds, m:ss or h:mm:ss."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return seconds."""
        if (found := _CLOCK.fullmatch(value)) is None:
            self.fail(f"{value!r} is no time; write 90, 1:30 or 1:02:03", param, ctx)
        hours, minutes, seconds = (float(part or 0) for part in found.groups())
        return 3600 * hours + 60 * minutes + seconds


CLOCK = _Clock()


class _Place(_Clock):
    """A time in a video, or a share of it with a percent sign: negative, which no time is."""

    name = "time|%"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return seconds, or minus the share."""
        if not value.endswith("%"):
            return super().convert(value, param, ctx)
        try:
            share = float(value[:-1]) / 100
        except ValueError:
            share = -1.0
        if not 0 <= share <= 1:
            self.fail(f"{value!r} is no share; write 0% to 100%", param, ctx)
        return -share


CLOCK = _Clock()
_OF_VIDEOS = (
    click.option(
        "--video", "videos", multiple=True, type=WORDS, metavar="ID", help="This video; repeatable."
    ),
    click.option("--label", "labels", multiple=True, type=WORDS, help="With one of these labels."),
    click.option("--all-labels", multiple=True, type=WORDS, metavar="LABEL", help="With all of these."),
    click.option(
        "--no-label", "no_labels", multiple=True, type=WORDS, metavar="LABEL", help="Without these."
    ),
    click.option("--folder", default="", type=WORDS, help="Files in this folder, or below: news/2024."),
    click.option("--after", type=_Date(), help="Dated then or later: 2024-01-01."),
    click.option("--before", type=_Date(), help="Dated before."),
    click.option("--longer", type=_Clock(), help="Videos of at least so long: 60, 1:30."),
    click.option("--shorter", type=_Clock(), help="Videos of at most so long."),
)
_OF_PARTS = (
    click.option("--from", "start", type=_Place(), help="The part of every video from there on: 10:00, 50%."),
    click.option("--to", "end", type=_Place(), help="Up to there."),
)


def of_videos(command: Command) -> Command:
    """Give a command the options that choose videos."""
    for option in reversed(_OF_VIDEOS):
        command = option(command)
    return command


def of_parts(command: Command) -> Command:
    """Give a command the options that choose a part of every video."""
    for option in reversed(_OF_PARTS):
        command = option(command)
    return command


def taken(given: MutableMapping[str, Any]) -> "Filter | None":
    """Take the options of a filter out of a command's; None where none is given."""
    from spr_client import Filter

    start, end = given.pop("start", None), given.pop("end", None)
    names = ("videos", "labels", "all_labels", "no_labels", "folder", "after", "before", "longer", "shorter")
    found = {name: value for name in names if (value := given.pop(name)) not in ((), "", None)}
    shares = [str(place).startswith("-") for place in (start, end) if place is not None]
    if len(set(shares)) > 1 and 0 not in (start, end):
        raise click.UsageError("--from and --to are a time and a share; give two of one kind")
    if any(shares):
        found["part"] = (-(start or 0.0), 1.0 if end is None else -end)
    elif shares:
        found |= {"start": start or 0.0, "end": end}
    return Filter(**found) if found else None
