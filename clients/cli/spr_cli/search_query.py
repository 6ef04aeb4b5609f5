"""The options of `spr search` that say more than one sentence does, and what it understood of one."""

from collections.abc import Callable, MutableMapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import click

from spr_cli.options import SECONDS, WORDS

if TYPE_CHECKING:
    from spr_client import Composed, Part, SearchResult

Command = TypeVar("Command", bound=Callable[..., Any])
_OPTIONS = (
    click.option("--then", multiple=True, type=WORDS, metavar="TEXT", help="What follows; repeatable."),
    click.option(
        "--within", type=SECONDS, help="The longest pause between two that follow each other.  [default: 30]"
    ),
    click.option(
        "--not", "without", multiple=True, type=WORDS, metavar="TEXT", help="What must not be there."
    ),
    click.option("--literal", is_flag=True, help="Search for TEXT as it stands, read nothing into it."),
    click.option(
        "--literal-words", multiple=True, type=WORDS, metavar="WORDS", help="Read nothing into these words."
    ),
)


def options(command: Command) -> Command:
    """Give a command these options."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def taken(text: str, given: MutableMapping[str, Any]) -> "str | Part | Composed":
    """Take these options and those of examples out of a command's; return the query.

    A text alone is interpreted.
    """
    from spr_cli.example_options import shown
    from spr_client import Composed, Part

    then, without, within = given.pop("then"), given.pop("without"), given.pop("within")
    plain = not then and not without
    if within is not None and not then:
        raise click.UsageError("--within is about what follows; give that with --then")
    literal = given.pop("literal")
    first = shown(text, given)
    given["interpret"] = plain and not literal and isinstance(first, str)
    if plain:
        return first
    begins = Part(first, without=without) if isinstance(first, str) else replace(first, without=without)
    return Composed(parts=[begins, *(Part(text=one, without=without) for one in then)], within=within)


def understood(result: "SearchResult") -> str:
    """Return a line that says what was searched in place of the text; "" where it stands as it is."""
    from engine.printable import printable

    told = result.interpretation
    if told is None or not told.lifts:
        return ""
    said = ", then ".join(f'"{text}"' for text in (told.text, *told.then))
    kinds = ("a question about", "in this order")
    more = [lift.meaning for lift in told.lifts if not lift.meaning.startswith(kinds)]
    undo = f'undo with --literal, or in part with --literal-words "{told.lifts[0].words}"'
    return printable(f"understood: {'; '.join([said, *more])} ({undo})")
