"""The `spr` command: a table of contents."""

import io
import os
import sys
from typing import NoReturn

import click

from engine.cores import choose_kernels
from spr_cli.lazy import lazy_group

# As a shell reports a process that Ctrl-C ended.
INTERRUPTED = 130

COMMANDS = {
    "corpus": ("spr_cli.corpus", "Make and convert video worlds and annotations."),
    "ingest": ("spr_cli.ingest", "Turn video files into features."),
    "train": ("spr_cli.train", "Train the encoder, the projector and the ranker."),
    "import-checkpoint": ("spr_cli.import_checkpoint", "Turn a published checkpoint into a model."),
    "build": ("spr_cli.build", "Build a version from features and models."),
    "migrate": ("spr_cli.migrate", "Bring a collection of an older format up to date."),
    "add": ("spr_cli.add", "Add videos to a collection that is searched."),
    "delete": ("spr_cli.delete", "Delete videos from a collection that is searched."),
    "compact": ("spr_cli.compact", "Merge the parts of a collection."),
    "eval": ("spr_cli.eval", "Measure how good the answers are."),
    "serve": ("spr_cli.serve", "Run the coordinator and its workers."),
    "search": ("spr_cli.search", "Ask a running service for moments."),
    "open": ("spr_cli.open", "Open the web page, or print its address."),
    "feedback": ("spr_cli.feedback", "Grade a moment, or list what was graded."),
    "annotate": ("spr_cli.annotate", "Judge a set of queries in the web page."),
    "mcp": ("spr_cli.mcp", "Let assistants search, over the Model Context Protocol."),
    "videos": ("spr_cli.videos", "List what is in a collection."),
    "snapshot": ("spr_cli.snapshot", "Copy a version to another place."),
    "restore": ("spr_cli.restore", "Bring a snapshot back."),
    "doctor": ("spr_cli.doctor", "Look for what would keep a service from running here."),
    "verify": ("spr_cli.verify", "Check every byte of a collection."),
    "gc": ("spr_cli.gc", "Remove old versions and what no version lists."),
    "bench": ("spr_cli.bench", "Time the stages of a search on this machine."),
    "plan": ("spr_cli.plan", "Reckon what a corpus of a size needs."),
    "admin": ("spr_cli.admin", "Operate a running service."),
    "access": ("spr_cli.access", "Make certificates and tokens."),
    "completion": ("spr_cli.completion", "Print what makes a shell complete commands."),
}


@click.group(cls=lazy_group(COMMANDS), context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="spr-engine", prog_name="spr")
def cli() -> None:
    """Search for moments in video.

    \b
    spr corpus render world --videos 20        make a small world of real MP4 files
    spr ingest world/videos --collection c     features of every video
    spr build c --shards 2                     a version to search
    spr serve topology.toml                    coordinator, index and ranker workers
    spr search "a red ball bounces"            ranked moments
    """


def main() -> None:
    """Run the command line; what cannot be done is one sentence on stderr and an exit code."""
    # OpenMP threads that spin while they wait cost a busy machine far more than waking them costs a free one.
    # It is read when torch loads, which is in a command; so is what OpenBLAS is told.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    choose_kernels()
    try:
        sys.exit(cli(prog_name="spr", standalone_mode=False))
    except click.ClickException as error:
        said = io.StringIO()
        error.show(said)
        click.echo(_shown(said.getvalue()), nl=False, err=True)
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        _end("stopped by Ctrl-C.", INTERRUPTED)
    except Exception as error:
        # Imported late: gRPC comes with it, and `spr --help` is to be instant.
        from engine.files import refusal_of

        if (refused := refusal_of(error)) is None:
            raise
        _end(str(refused), refused.exit_code)


def _end(sentence: str, code: int) -> NoReturn:
    click.echo(f"spr: {_shown(sentence)}", err=True)
    sys.exit(code)


def _shown(text: str) -> str:
    """Return a message without what a terminal would obey; names of files may hold that."""
    from engine.printable import printable

    return "\n".join(printable(line.expandtabs(4)) for line in text.split("\n"))


if __name__ == "__main__":
    main()
