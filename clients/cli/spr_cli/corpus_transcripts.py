"""`spr corpus transcripts`: what was transcribed, and read on screens."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from spr_cli.options import AS_JSON, COLLECTION

if TYPE_CHECKING:
    from trainer.ingest.transcripts import Head


@click.command()
@click.argument("collection", type=COLLECTION)
@AS_JSON
def command(collection: Path, as_json: bool) -> None:
    """List the transcripts of COLLECTION, and what was read on screens: video, lines, engine and file.

    Each is a WebVTT file. Correct it in an editor and add its video again (spr add, spr admin add): searches
    find what is corrected, and it is never written over.

    \b
    spr corpus transcripts c
    spr corpus transcripts c --json | jq '.transcripts[] | select(.corrected)'
    """
    from spr_cli.output import print_json
    from trainer.ingest.transcripts import Transcripts

    said, written = Transcripts.of(collection), Transcripts.of_screens(collection)
    found = [("said", head, said.path(content)) for content, head in said]
    found += [("written", head, written.path(content)) for content, head in written]
    found.sort(key=lambda each: (each[1].video, each[0]))
    if as_json:
        entries = [
            {
                "channel": channel,
                "video": head.video,
                "language": head.language,
                "engine": head.engine,
                "lines": head.cues,
                "corrected": head.corrected,
                "path": str(path),
            }
            for channel, head, path in found
        ]
        print_json({"transcripts": entries})
        return
    if not found:
        click.echo(f"{collection} has no transcripts; make some with: spr ingest ... --transcribe ENGINE")
    for channel, head, path in found:
        _tell(channel, head, path)


def _tell(channel: str, head: "Head", path: Path) -> None:
    """Print a transcript's line."""
    from engine.printable import printable

    corrected = ", corrected" if head.corrected else ""
    language = f" in {head.language}" if head.language else ""
    lines = "1 line" if head.cues == 1 else f"{head.cues or 'no'} lines"
    about = f"{lines} {channel}{language}, {head.engine or 'by hand'}{corrected}"
    click.echo(f"{printable(head.video or '?')}  ({about})  {path}")
