"""`spr ingest --watch`: folders whose videos become searchable as they appear."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from trainer.library.ingesting import Added
    from trainer.library.watching import Folders


# Seconds after which files are tried again that found no room, say.
AGAIN = 30.0


def follow_folders(folders: Sequence[Path], collection: Path, device: str, as_json: bool) -> None:
    """Add what appears below the folders until Ctrl-C; a line for every file, JSON with `as_json`."""
    import contextlib
    import time

    from engine.version_lock import only_writer
    from spr_cli.ingest import bar, ending_at_once

    missing = [folder for folder in folders if not folder.is_dir()]
    if missing:
        raise click.UsageError(f"--watch wants folders, and {missing[0]} is none.")
    with ending_at_once():
        from trainer.library.ingesting import add_files
        from trainer.library.kits import Kits
        from trainer.library.watching import Folders

        watched, kits, told = Folders([folder.resolve() for folder in folders]), Kits(device), ""
        click.echo(f"watching {', '.join(map(str, folders))}; Ctrl-C stops", err=True)

        def add(paths: list[Path]) -> None:
            with only_writer(collection, "add", 0), contextlib.ExitStack() as stack:
                added = add_files(collection, paths, kits, bar(stack))
            _tell(added, as_json)

        while True:
            told, pause = look(watched, collection, add, told)
            time.sleep(pause)


def look(
    watched: "Folders", collection: Path, add: Callable[[list[Path]], None], told: str
) -> tuple[str, float]:
    """Add what is ready; return the words of the fault, "" without one, and seconds until the next look.

    What could not be added for want of room, or since another process was at it, is added later.
    """
    from engine.errors import Unavailable
    from engine.files import refusal_of
    from trainer.library.tasks import IN_THE_WAY
    from trainer.library.watching import INTERVAL, left_out

    ready, pause = watched.ready(), INTERVAL
    try:
        for path in left_out(collection, ready):
            watched.told({path: ready.pop(path)})
            click.echo(f"left out  {path}: it was deleted; `spr add` brings it back", err=True)
        if ready:
            add(list(ready))
            told = ""
    except Exception as error:
        if (refused := refusal_of(error)) is None:
            raise
        if str(refused) != told:
            told = str(refused)
            click.echo(f"spr: {told}", err=True)
        others = refused.reason in IN_THE_WAY
        if others or isinstance(refused, Unavailable):
            ready, pause = {}, INTERVAL if others else AGAIN
    watched.told(ready)
    return told, pause


def _tell(added: "Added", as_json: bool) -> None:
    from spr_cli.add import lines, values
    from spr_cli.output import print_json

    for line in lines(added):
        click.echo(line, err=as_json)
    if as_json:
        print_json(values(added))
