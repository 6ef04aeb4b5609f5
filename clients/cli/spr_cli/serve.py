"""`spr serve`: run the processes of a topology."""

import contextlib
import dataclasses
import json
import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from spr_cli.lazy import left_out
from spr_cli.options import SERVED, Output, leave_out
from spr_cli.serve_topology import read_topology, with_page

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from engine.config import LogLevel, Topology


INSECURE = click.option(
    "--insecure", is_flag=True, help="Listen beyond this machine without encryption and tokens."
)


class _ServeGroup(click.Group):
    """A group whose commands may be left out: what is no command is a topology for `all`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Insert `all` in front of a topology or an option of it."""
        if args and args[0] not in {*self.commands, "-h", "--help"}:
            args = ["all", *args]
        return super().parse_args(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> "list[CompletionItem]":
        """Return the commands, and what `all` takes without being named."""
        return [*super().shell_complete(ctx, incomplete), *left_out(serve_all, incomplete)]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the options of `all`, which need no command before them, and then the commands."""
        serve_all.format_options(ctx, formatter)
        self.format_commands(ctx, formatter)


@click.group(cls=_ServeGroup)
def command() -> None:
    """Run the coordinator and its workers: [TOPOLOGY] [OPTIONS], or one process by its command.

    \b
    spr serve topology.toml                    everything on this machine, until Ctrl-C
    spr serve --collection videos              the same without a file: one process a shard
    spr serve --collection videos --collection lectures
                                               both of them, by the same processes
    spr serve index --config topology.toml --name shard-00000
                                               one process, in the foreground
    """


@command.command("all")
@click.argument("topology", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--collection",
    "collections",
    multiple=True,
    type=SERVED,
    help="Serve this one, a directory or s3://BUCKET/NAME, without a topology file; several for several.",
)
@click.option("--port", default=7400, show_default=True, help="With --collection: the coordinator's port.")
@click.option(
    "--access",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="With --collection: certificates and tokens, as `spr access` makes them.",
)
@click.option(
    "--root",
    "roots",
    multiple=True,
    type=click.Path(exists=True, file_okay=False, resolve_path=True),
    help="With --access: a folder whose files `spr admin add` and its like may name.",
)
@INSECURE
@click.option(
    "--page",
    metavar="HOST:PORT",
    help="Where the web page listens.  [default: the topology's; with --collection port + 80, 7480]",
)
@click.option("--no-page", is_flag=True, help="Serve no web page.")
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    help="[default: the topology's, info without one]",
)
@click.option("--ready-file", type=Output(dir_okay=False), help="Write the ready line to this file.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON line when ready, and logs alone on stderr."
)
def serve_all(
    topology: Path | None,
    collections: "tuple[Path | str, ...]",
    port: int,
    access: Path | None,
    roots: tuple[str, ...],
    insecure: bool,
    page: str | None,
    no_page: bool,
    log_level: "LogLevel | None",
    ready_file: Path | None,
    as_json: bool,
) -> None:
    """Start every process of a topology, restart what dies, stop all on Ctrl-C.

    \b
    spr serve topology.toml
    spr serve --collection videos --port 7500
    """
    from engine.access import listeners

    def ready(line: dict[str, Any]) -> None:
        if ready_file is not None:
            from engine.files import write_json

            write_json(ready_file, line)
        click.echo(json.dumps(line) if as_json else _greeting(line))

    def as_asked(read: "Topology") -> "Topology":
        paged = with_page(read, page, no_page)
        return dataclasses.replace(paged, log_level=log_level or read.log_level, insecure=insecure)

    if topology is not None:
        leave_out("the topology file says where its processes listen", "port")
    with _json_errors() if as_json else contextlib.nullcontext():
        asked = as_asked(read_topology(topology, collections, port, access, roots))
        listeners.check(asked, asked.listens)
        supervise(asked, as_asked, ready, as_json)


def supervise(
    topology: "Topology",
    as_asked: "Callable[[Topology], Topology]",
    ready: Callable[[dict[str, Any]], None],
    silent: bool,
) -> None:
    """Run all processes until Ctrl-C; `ready` gets the ready line. silent: without progress on stderr.

    as_asked: a topology that was read again, with what the command line says.
    """
    from engine import following, logs
    from engine.processes import programs
    from engine.supervisor import Supervisor
    from spr_cli.serve_progress import Progress

    writer = logs.configure(topology.log_level)
    progress = Progress(sys.stderr.isatty(), writer.put, silent)

    def on_ready(line: dict[str, Any]) -> None:
        progress.end()
        ready(line)

    try:
        supervisor = Supervisor(
            programs(topology),
            on_ready,
            progress.show,
            topology.hang_timeout,
            following.of_file(topology, as_asked),
            writer,
        )
        supervisor.run()
    finally:
        writer.flush(logs.LAST_WORDS)


@contextlib.contextmanager
def _json_errors() -> Iterator[None]:
    """Make a refusal a line of log on stderr, as all others there are, and exit with its code."""
    from engine import logs
    from engine.files import refusal_of

    try:
        yield
    except Exception as error:
        if (refused := refusal_of(error)) is None:
            raise
        click.echo(logs.line("spr.serve", str(refused), logging.ERROR), nl=False, err=True)
        sys.exit(refused.exit_code)


def _single(role: str, summary: str) -> click.Command:
    """Return the command that becomes one process of a topology."""
    names = {"index": "shard-00000", "ranker": "ranker-0", "encoder": "encoder-0"}
    name = f" --name {names[role]}" if role in names else ""
    example = f"\b\nspr serve {role} --config topology.toml{name}"

    @click.command(role, help=f"{summary}\n\n{example}", short_help=summary)
    @click.option("--config", "path", required=True, type=click.Path(exists=True, path_type=Path))
    @click.option("--name", help="Which one, e.g. shard-00000.")
    @click.option("--listen", help="Which one, by its address; or another address for it.")
    @INSECURE
    def single(path: Path, name: str | None, listen: str | None, insecure: bool) -> None:
        import dataclasses
        import os

        from engine import config, processes, serving
        from engine.access import listeners

        topology = dataclasses.replace(config.read(path), insecure=insecure)
        part = serving.select_part(topology, role, name, listen)
        listeners.check(topology, serving.listens_of(part))
        program = processes.program(topology, role, part, supervised=False)
        # Replaced, not started: the process that runs is the server itself, alone with its libraries.
        os.execve(sys.executable, list(program.command), {**os.environ, **program.environment})

    return single


command.add_command(_single("coordinator", "Run the coordinator alone."))
command.add_command(_single("index", "Run one index worker: a replica of one shard."))
command.add_command(
    _single("ranker", "Run one ranker worker, which encodes the queries too without an encoder.")
)
command.add_command(_single("encoder", "Run one process that encodes the queries."))
command.add_command(_single("library", "Run the library process, which adds and deletes videos."))
command.add_command(_single("page", "Run the web page's process."))


def _metrics(line: dict[str, Any]) -> str:
    if not line.get("metrics"):
        return ""
    return f"  metrics at http://{line['metrics']}/metrics; every process has its own\n"


def _greeting(line: dict[str, Any]) -> str:
    address = line["address"]
    port = "" if address == "127.0.0.1:7400" else f" --address {address}"
    more = [repr(name) for name in line["collections"][1:]]
    others = f"Also {', '.join(more)}: --collection NAME.\n" if more else ""
    page = f"  look and play at {line['page']}\n" if "page" in line else ""
    return (
        f"Collection {line['collection']!r}, version {line['number']} ({line['generation']}), "
        f"{line['videos']} videos.\n{others}"
        f'  searches at {", ".join(line["addresses"])}:  spr search{port} "a red ball bounces"\n'
        f"  admin at {line['admin']}:     spr admin status --address {line['admin']}\n"
        f"{_metrics(line)}{page}Ctrl-C stops everything."
    )
