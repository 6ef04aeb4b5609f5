"""`spr corpus`: make and convert video worlds and annotations."""

import click

from spr_cli.lazy import lazy_group

COMMANDS = {
    "render": ("spr_cli.corpus_render", "Render a world of real MP4 files with annotations."),
    "annotate": ("spr_cli.corpus_annotate", "Take judged queries into a collection."),
}


@click.group(cls=lazy_group(COMMANDS))
def command() -> None:
    """Make and convert video worlds and annotations."""
