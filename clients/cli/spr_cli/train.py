"""`spr train`."""

import click


@click.group()
def command() -> None:
    """Train the encoder, the projector and the ranker."""
