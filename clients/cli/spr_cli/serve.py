"""`spr serve`: run the processes of a topology."""

import contextlib
import dataclasses
import json
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from engine.config import LogLevel, Topology
    from engine.supervisor import Status


class _ServeGroup(click.Group):
    """A group whose commands may be left out: what is no command is a topology for `all`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Insert `all` in front of a topology or an option of it."""
        if args and args[0] not in {*self.commands, "-h", "--help"}:
            args = ["all", *args]
        return super().parse_args(ctx, args)

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
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Serve this collection, without a topology file; several times for several.",
)
@click.option("--port", default=7400, show_default=True, help="With --collection: the coordinator's port.")
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
@click.option("--ready-file", type=click.Path(path_type=Path), help="Write the ready line to this file.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON line when ready, and logs alone on stderr."
)
def serve_all(
    topology: Path | None,
    collections: tuple[Path, ...],
    port: int,
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

    def ready(line: dict[str, Any]) -> None:
        if ready_file is not None:
            from engine.files import write_json

            write_json(ready_file, line)
        click.echo(json.dumps(line) if as_json else _greeting(line))

    with _json_errors() if as_json else contextlib.nullcontext():
        read = _with_page(_topology(topology, collections, port), page, no_page)
        _supervise(dataclasses.replace(read, log_level=log_level or read.log_level), ready, as_json)


def _supervise(topology: "Topology", ready: Callable[[dict[str, Any]], None], silent: bool) -> None:
    """Run all processes until Ctrl-C; `ready` gets the ready line. silent: without progress on stderr."""
    from engine import logs
    from engine.processes import programs
    from engine.supervisor import Supervisor

    writer = logs.configure(topology.log_level)
    progress = _Progress(sys.stderr.isatty(), writer.put, silent)

    def on_ready(line: dict[str, Any]) -> None:
        progress.end()
        ready(line)

    try:
        Supervisor(programs(topology), on_ready, progress.show, topology.hang_timeout, writer).run()
    finally:
        writer.flush(logs.LAST_WORDS)


@contextlib.contextmanager
def _json_errors() -> Iterator[None]:
    """Make a refusal a line of log on stderr, as all others there are, and exit with its code."""
    from engine import logs
    from engine.errors import SprError
    from engine.files import of_disk

    try:
        yield
    except (SprError, OSError) as error:
        refused = of_disk(error) if isinstance(error, OSError) else error
        if refused is None:
            raise
        click.echo(logs.line("spr.serve", str(refused), logging.ERROR), nl=False, err=True)
        sys.exit(refused.exit_code)


def _single(role: str, summary: str) -> click.Command:
    """Return the command that becomes one process of a topology."""
    name = {"index": " --name shard-00000", "ranker": " --name ranker-0"}.get(role, "")
    example = f"\b\nspr serve {role} --config topology.toml{name}"

    @click.command(role, help=f"{summary}\n\n{example}", short_help=summary)
    @click.option("--config", "path", required=True, type=click.Path(exists=True, path_type=Path))
    @click.option("--name", help="Which one, e.g. shard-00000.")
    @click.option("--listen", help="Which one, by its address; or another address for it.")
    def single(path: Path, name: str | None, listen: str | None) -> None:
        import os

        from engine import config, processes, serving

        topology = config.read(path)
        part = serving.select_part(topology, role, name, listen)
        program = processes.program(topology, role, part, supervised=False)
        # Replaced, not started: the process that runs is the server itself, alone with its libraries.
        os.execve(sys.executable, list(program.command), {**os.environ, **program.environment})

    return single


command.add_command(_single("coordinator", "Run the coordinator alone."))
command.add_command(_single("index", "Run one index worker: a replica of one shard."))
command.add_command(_single("ranker", "Run one ranker worker, which also encodes the queries."))
command.add_command(_single("library", "Run the library process, which adds and deletes videos."))
command.add_command(_single("page", "Run the web page's process."))


def _topology(topology: Path | None, collections: Sequence[Path], port: int) -> "Topology":
    """Read a topology file, or make the topology of collections' current versions."""
    from engine import config, versions
    from engine.errors import SprError

    if topology is not None and collections:
        raise click.UsageError("name a topology file or a --collection, not both")
    if topology is not None:
        return config.read(topology)
    if not collections:
        raise click.UsageError("name a topology file, or a collection with --collection")
    first, *others = collections
    shards = [len(versions.read(first).shards)]
    for other in others:
        # One without a version is served as soon as it has one.
        with contextlib.suppress(SprError):
            shards.append(len(versions.read(other).shards))
    return config.for_collection(first, max(shards), port, others)


def _with_page(topology: "Topology", page: str | None, no_page: bool) -> "Topology":
    """Return the topology with the page that the options ask for."""
    from engine import config

    if page is not None and no_page:
        raise click.UsageError("--page and --no-page exclude each other; give one of them")
    if no_page:
        return dataclasses.replace(topology, page=None)
    if page is None:
        return topology
    asked = dataclasses.replace(topology.page or config.PageConfig(), listen=page)
    # Read again: its address is checked beside all others.
    return config.from_json(config.to_json(dataclasses.replace(topology, page=asked)))


class _Progress:
    """What is up so far: one changing line on a terminal, a line for each process otherwise."""

    def __init__(self, terminal: bool, put: Callable[[str], None], silent: bool) -> None:
        self._terminal, self._put, self._silent = terminal, put, silent
        self._shown: set[str] = set()

    def show(self, status: "Status") -> None:
        """Tell of a change."""
        if self._silent:
            return
        up = [name for name, state in status.states.items() if state == "ready"]
        head = f"{len(up)}/{len(status.states)} processes ready, {status.seconds:.1f} s"
        if self._terminal:
            waiting = [name for name, state in status.states.items() if state != "ready"]
            tail = f"; waiting for {_some(waiting)}" if waiting else "; waiting for the first health report"
            self._put(f"\r\033[K{head}{tail}")
        else:
            for name in up:
                if name not in self._shown:
                    self._put(f"{name} is ready ({head})\n")
            self._shown.update(up)

    def end(self) -> None:
        """Leave the changing line."""
        if self._terminal and not self._silent:
            self._put("\r\033[K")


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _greeting(line: dict[str, Any]) -> str:
    address = line["address"]
    port = "" if address == "127.0.0.1:7400" else f" --address {address}"
    more = [repr(name) for name in line["collections"][1:]]
    others = f"Also {', '.join(more)}: --collection NAME.\n" if more else ""
    page = f"  look and play at {line['page']}\n" if "page" in line else ""
    return (
        f"Collection {line['collection']!r}, version {line['number']} ({line['generation']}), "
        f"{line['videos']} videos.\n{others}"
        f'  searches at {address}:  spr search{port} "a red ball bounces"\n'
        f"  admin at {line['admin']}:     spr admin status --address {line['admin']}\n"
        f"{page}"
        "Ctrl-C stops everything."
    )
