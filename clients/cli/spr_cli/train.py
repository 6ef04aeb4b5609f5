"""`spr train`: the encoder, the projector and the ranker."""

import click

from spr_cli.lazy import lazy_group

COMMANDS = {
    "encoder": ("spr_cli.train_encoder", "Train a small CLIP on a rendered world."),
    "projector": ("spr_cli.train_projector", "Train the dual projectors (stage 1)."),
    "ranker": ("spr_cli.train_ranker", "Train the ReLo ranker (stage 3)."),
}


@click.group(cls=lazy_group(COMMANDS))
def command() -> None:
    """Train the encoder, the projector and the ranker.

    \b
    spr train projector c
    spr train ranker c
    """
