"""`spr corpus`."""

import click


@click.group()
def command() -> None:
    """Make and convert video worlds and annotations."""
