"""`spr ingest --watch`: folders whose videos become searchable as they appear."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from trainer.library.ingesting import Added


def follow_folders(folders: Sequence[Path], collection: Path, device: str, as_json: bool) -> None:
    """Add what appears below the folders until Ctrl-C; a line for every file, JSON with `as_json`."""
    import contextlib
    import time

    from engine.errors import SprError
    from engine.version_lock import only_writer
    from spr_cli.ingest import bar, ending_at_once

    missing = [folder for folder in folders if not folder.is_dir()]
    if missing:
        raise click.UsageError(f"--watch wants folders, and {missing[0]} is none.")
    with ending_at_once():
        from trainer.library.ingesting import add_files
        from trainer.library.kits import Kits
        from trainer.library.tasks import IN_THE_WAY
        from trainer.library.watching import INTERVAL, Folders, left_out

        watched, kits, told = Folders([folder.resolve() for folder in folders]), Kits(device), ""
        click.echo(f"watching {', '.join(map(str, folders))}; Ctrl-C stops", err=True)
        while True:
            ready = watched.ready()
            try:
                for path in left_out(collection, ready):
                    watched.told({path: ready.pop(path)})
                    click.echo(f"left out  {path}: it was deleted; `spr add` brings it back", err=True)
                if ready:
                    with only_writer(collection, "add", 0), contextlib.ExitStack() as stack:
                        added = add_files(collection, list(ready), kits, bar(stack))
                    _tell(added, as_json)
                    told = ""
            except SprError as error:
                if str(error) != told:
                    told = str(error)
                    click.echo(f"spr: {told}", err=True)
                if error.reason in IN_THE_WAY:
                    ready = {}
            watched.told(ready)
            time.sleep(INTERVAL)


def _tell(added: "Added", as_json: bool) -> None:
    from spr_cli.add import lines, values
    from spr_cli.output import print_json

    for line in lines(added):
        click.echo(line, err=as_json)
    if as_json:
        print_json(values(added))
