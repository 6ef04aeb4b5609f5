"""`spr corpus transcripts`: what was transcribed."""

from pathlib import Path

import click

from spr_cli.options import AS_JSON


@click.command()
@click.argument("collection", type=click.Path(exists=True, file_okay=False, path_type=Path))
@AS_JSON
def command(collection: Path, as_json: bool) -> None:
    """List the transcripts of COLLECTION: a line each with its video, language, recogniser and file.

    A transcript is a WebVTT file. Correct it in an editor and run the same ingest again; a corrected one is
    never written over.

    \b
    spr corpus transcripts c
    spr corpus transcripts c --json | jq '.transcripts[] | select(.corrected)'
    """
    from engine.printable import printable
    from spr_cli.output import print_json
    from trainer.ingest.transcripts import Transcripts

    transcripts = Transcripts.of(collection)
    found = list(transcripts)
    if as_json:
        entries = [
            {
                "video": head.video,
                "language": head.language,
                "engine": head.engine,
                "corrected": head.corrected,
                "path": str(transcripts.path(content)),
            }
            for content, head in found
        ]
        print_json({"transcripts": entries})
        return
    if not found:
        click.echo(f"{collection} has no transcripts; make some with: spr ingest ... --transcribe ENGINE")
    for content, head in found:
        corrected = ", corrected" if head.corrected else ""
        about = f"{head.language or 'nothing said'}, {head.engine or 'by hand'}{corrected}"
        click.echo(f"{printable(head.video or '?')}  ({about})  {transcripts.path(content)}")
