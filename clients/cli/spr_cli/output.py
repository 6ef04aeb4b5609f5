"""What commands print: tables of names as they are, and JSON, without anything that a terminal obeys."""

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import click

from engine.printable import printable

if TYPE_CHECKING:
    from google.protobuf.message import Message


def print_json(value: Any) -> None:
    """Print a value as one line of JSON; in its strings escapes stand for what a terminal would obey."""
    text = json.dumps(value, ensure_ascii=False)
    # JSON has its hidden characters within strings only.
    shown = (c if c.isascii() or printable(c) == c else json.dumps(c)[1:-1] for c in text)
    click.echo("".join(shown).replace("\x7f", "\\u007f"))


def message_values(message: "Message") -> dict[str, Any]:
    """Return a message as JSON's values, in the order of its fields.

    Counts are numbers; protobuf's own JSON makes strings of them.
    """
    from google.protobuf.json_format import MessageToDict

    fields = MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    for field in message.DESCRIPTOR.fields:
        given = getattr(message, field.name)
        if field.cpp_type in (field.CPPTYPE_INT64, field.CPPTYPE_UINT64) and field.name in fields:
            fields[field.name] = list(given) if field.is_repeated else given
        elif isinstance(value := fields.get(field.name), dict):
            fields[field.name] = message_values(given)
        elif isinstance(value, list) and field.message_type is not None:
            fields[field.name] = [message_values(one) for one in given]
    return {field.name: fields[field.name] for field in message.DESCRIPTOR.fields if field.name in fields}


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
