"""The `spr` command: a table of contents."""

import os
import sys

import click

from spr_cli.lazy import lazy_group

COMMANDS = {
    "corpus": ("spr_cli.corpus", "Make and convert video worlds and annotations."),
    "ingest": ("spr_cli.ingest", "Turn video files into features."),
    "train": ("spr_cli.train", "Train the encoder, the projector and the ranker."),
    "import-checkpoint": ("spr_cli.import_checkpoint", "Turn a published checkpoint into a model."),
    "build": ("spr_cli.build", "Build an index generation from features and models."),
    "eval": ("spr_cli.eval", "Measure how good the answers are."),
    "serve": ("spr_cli.serve", "Run the coordinator and its workers."),
    "search": ("spr_cli.search", "Ask a running service for moments."),
    "bench": ("spr_cli.bench", "Time the stages of a search on this machine."),
    "admin": ("spr_cli.admin", "Look into a running service."),
}


@click.group(cls=lazy_group(COMMANDS), context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="spr-engine", prog_name="spr")
def cli() -> None:
    """Search for moments in video.

    \b
    spr corpus render world --videos 20        make a small world of real MP4 files
    spr ingest world/videos --collection c     features of every video
    spr build c --shards 2                     an index generation
    spr serve topology.toml                    coordinator, index and ranker workers
    spr search "a red ball bounces"            ranked moments
    """


def main() -> None:
    """Run the command line; an SprError or an error of the disk is a sentence on stderr and an exit code."""
    from engine.errors import SprError
    from engine.files import of_disk

    # OpenMP threads that spin while they wait cost a busy machine far more than waking them costs a free one.
    # It is read when torch loads, which is in a command.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        cli(prog_name="spr")
    except SprError as error:
        click.echo(f"spr: {error}", err=True)
        sys.exit(error.exit_code)
    except OSError as error:
        refused = of_disk(error)
        if refused is None:
            raise
        click.echo(f"spr: {refused}", err=True)
        sys.exit(refused.exit_code)


if __name__ == "__main__":
    main()
