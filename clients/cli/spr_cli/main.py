"""The `spr` command: a table of contents. Each sub-command's module is imported when it is called."""

import importlib
import sys
from collections.abc import Callable
from typing import Any

import click

COMMANDS = {
    "corpus": "Make and convert video worlds and annotations.",
    "ingest": "Turn video files into features.",
    "train": "Train the encoder, the projector and the ranker.",
    "build": "Build an index generation from features and models.",
    "eval": "Measure how good the answers are.",
    "serve": "Run the coordinator and its workers.",
    "search": "Ask a running service for moments.",
    "admin": "Look into a running service.",
}


class LazyGroup(click.Group):
    """A group that imports a command only when it runs, so that `--help` is instant."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order of the work."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import `spr_cli.<name>` and return its `command`."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"spr_cli.{cmd_name}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
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


def main(run: Callable[..., Any] = cli) -> None:
    """Run the command line; an SprError is one sentence on stderr and its exit code."""
    from engine.errors import SprError

    try:
        run(prog_name="spr")
    except SprError as error:
        click.echo(f"spr: {error}", err=True)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
