"""`spr delete`: videos are no longer found."""

from pathlib import Path

import click

from spr_cli.options import AS_JSON, COLLECTION, WORDS

STAYS = "so its rows stay until it is not: the service's library removes them then, without one `spr gc` does"


@click.command()
@click.argument("collection", type=COLLECTION)
@click.argument("video_ids", nargs=-1, required=True, type=WORDS, metavar="ID...")
@click.option("--purge", is_flag=True, help="Also remove them, and all older versions, from the disk now.")
@AS_JSON
def command(collection: Path, video_ids: tuple[str, ...], purge: bool, as_json: bool) -> None:
    """Delete videos from COLLECTION, by the ids that searches tell.

    No answer of the version that this makes names them, and no build brings them back; the files themselves
    are not touched. What is stored of them leaves the disk with a later compaction, or now with --purge.
    What was deleted before can be purged all the same. Where an id is not known nothing is deleted, and the
    exit code is 2. A running service takes the version up by itself.

    \b
    spr delete c talk
    spr delete c talk "lectures/2024 05" --purge
    """
    from engine.version_lock import only_writer
    from spr_cli.output import print_json
    from spr_cli.progress import Progress
    from trainer.library.deleting import delete

    with only_writer(collection, "delete"):
        change = delete(collection, video_ids, purging=purge)
        version, held = change.version, list[str]()
        if purge:
            from trainer.library.purging import purge as purge_now

            with Progress(as_json) as progress:
                purged, garbage = purge_now(collection, progress.tell)
            version, held = purged.version, garbage.held
            for one in held:
                click.echo(f"note: version {one} is still used, {STAYS}", err=True)
    if as_json:
        print_json({"version": version, "deleted": list(change.videos), "purged": purge, "held": held})
    else:
        count = "1 video is" if len(change.videos) == 1 else f"{len(change.videos)} videos are"
        disk = ", and from the disk" if purge and not held else ""
        click.echo(f"{count} gone from version {version}{disk}")
