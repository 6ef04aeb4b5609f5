"""What commands print: tables of names as they are, and JSON, without anything that a terminal obeys."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

import click

from engine.printable import printable


def print_json(value: Any) -> None:
    """Print a value as one line of JSON; in its strings escapes stand for what a terminal would obey."""
    text = json.dumps(value, ensure_ascii=False)
    # JSON has its hidden characters within strings only.
    shown = (c if c.isascii() or printable(c) == c else json.dumps(c)[1:-1] for c in text)
    click.echo("".join(shown).replace("\x7f", "\\u007f"))


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str]], right: Iterable[str] = ()) -> None:
    """Print a line of headings and a line a row; names are whole, however wide the terminal is.

    right: headings of the columns that are right-justified.
    """
    # rich is slow to import, and not every command prints a table.
    from rich.cells import cell_len

    lines = [list(headings), *([printable(cell) for cell in row] for row in rows)]
    widths = [max(map(cell_len, column)) for column in zip(*lines, strict=True)]
    right = set(right)
    for number, line in enumerate(lines):
        cells = []
        for heading, cell, width in zip(headings, line, widths, strict=True):
            space = " " * (width - cell_len(cell))
            cells.append(space + cell if heading in right else cell + space)
        text = "  ".join(cells).rstrip()
        click.echo(click.style(text, bold=True) if number == 0 else text)
