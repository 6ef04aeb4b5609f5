"""Where `spr search` looks: what is seen, said, written; and what found each moment."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from spr_client import Finding, SearchResult

Command = TypeVar("Command", bound=Callable[..., Any])
TEXTS = ("said", "written")
NOTHING = (
    "nothing that is said or written fits, or the version has no texts: "
    "spr ingest --transcribe ENGINE --read-screen, then spr build"
)
where = click.option(
    "--in",
    "channels",
    multiple=True,
    type=click.Choice(["seen", *TEXTS]),
    help="Where to look; repeatable.  [default: everywhere]",
)
_OPTIONS = (
    where,
    click.option("--why", is_flag=True, help="Show what found each moment, with the words it says or shows."),
)


def options(command: Command) -> Command:
    """Give a command these options."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def chosen(given: dict[str, Any], as_json: bool) -> "Callable[[SearchResult], None]":
    """Take --why out of `given`; return what shows what found an answer's moments, if that is asked for.

    Where texts alone were asked for and nothing was found, it says what may be missing.
    """
    why, channels = given.pop("why"), given["channels"]

    def tell(found: "SearchResult") -> None:
        if why and not as_json:
            show(found)
        if not found.moments and not as_json and _texts_alone(found, channels):
            click.echo(NOTHING)

    return tell


def _texts_alone(found: "SearchResult", channels: Sequence[str]) -> bool:
    lifted = {lift.words.lower() for lift in found.interpretation.lifts} if found.interpretation else set()
    asked = {*channels, *(name for name in ("seen", *TEXTS) if f"in:{name}" in lifted)}
    return bool(asked) and "seen" not in asked


def show(result: "SearchResult") -> None:
    """Print a block for each moment: the lists it is in, the best rank first, with their texts."""
    from engine.printable import printable
    from spr_client import clock

    for moment in result.moments:
        click.echo(f"{moment.rank}. {printable(moment.video)} {clock(moment.start)}-{clock(moment.end)}")
        if not moment.found_by:
            click.echo("   not told: the version has no texts, or the query no words")
        for finding in moment.found_by:
            step = f"part {finding.part + 1}: " if moment.parts else ""
            told = f"{finding.channel} by {finding.method}, rank {finding.rank + 1}{_text(finding)}"
            click.echo(f"   {step}{told}")


def _text(finding: "Finding") -> str:
    """Return what is said or written there, the query's words in bold."""
    from engine.printable import printable
    from spr_client import clock

    if finding.line is None:
        return ""
    shown = (
        click.style(printable(p.text), bold=True) if p.matched else printable(p.text)
        for p in finding.line.pieces
    )
    return f", at {clock(finding.line.start)}: {''.join(shown)}"
