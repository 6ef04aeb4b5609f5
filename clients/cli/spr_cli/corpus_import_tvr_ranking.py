"""`spr corpus import-tvr-ranking`: published features and judged queries into a collection."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from spr_cli.options import AS_JSON, Number

if TYPE_CHECKING:
    from trainer.formats.tvr_import import Imported


@click.command()
@click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--collection", required=True, type=click.Path(file_okay=False, path_type=Path))
@click.option("--arch", help="Encoder of the features, as in their file name.  [default: the one there is]")
@click.option("--top-k", default=40, show_default=True, help="Which training file: train_top01, 20, 40.")
@click.option("--segment-length", "length", default=4, show_default=True, help="Seconds, as in file names.")
@click.option("--context", default=8, show_default=True, help="Of the training samples, as in the file name.")
@click.option(
    "--clip-length",
    "step",
    type=Number(0, 3600, min_open=True),
    help="Seconds a row of video and subtitle features.  [default: 1.5]",
)
@click.option(
    "--file", "files", multiple=True, metavar="NAME=PATH", help="Where one file is instead; repeatable."
)
@click.option("--encoder", default="", help="Encoder that made the features, to search with any sentence.")
@click.option("--tolerance", default=1, show_default=True, help="Rows more or fewer than a duration says.")
@click.option("--device", default="auto", show_default=True, help="For --encoder: auto, cpu or cuda.")
@AS_JSON
def command(
    directory: Path,
    collection: Path,
    arch: str | None,
    step: float | None,
    files: tuple[str, ...],
    as_json: bool,
    encoder: str,
    tolerance: int,
    device: str,
    **named: int,
) -> None:
    """Check the TVR-Ranking data in DIRECTORY (the folder that holds TVR/) and copy it into a collection.

    Features become the streams frames (CLIP, 1 s), i3d and subtitles-bert (1.5 s). Names, counts and queries
    of all files are compared first; what differs is refused with its names. An interrupted import goes on
    where it stopped. NAME of --file: clip, queries, tokens, video, subtitles, corpus, train, val, test,
    counts, segments_train, segments_val, segments_test, segment_features, coarse_val, coarse_test, samples.

    \b
    Examples:
      spr corpus import-tvr-ranking data --collection c
      spr corpus import-tvr-ranking data --collection c --top-k 20 --file video=/features/i3d.h5
    """
    import json
    from dataclasses import asdict

    from trainer.formats.layout import Layout, found_arch
    from trainer.formats.sidecar import clip_step
    from trainer.formats.tvr_import import import_tvr_ranking

    arch, step = arch or found_arch(directory), step or clip_step(directory)
    layout = Layout(directory, arch=arch, step=step, overrides=_overrides(files), **named)
    report = import_tvr_ranking(layout, collection, encoder=encoder, device=device, tolerance=tolerance)
    if as_json:
        click.echo(json.dumps(asdict(report)))
    else:
        _show(report)


def _show(report: "Imported") -> None:
    streams = ", ".join(f"{name} ({width} wide)" for name, width in report.streams.items())
    click.echo(f"{report.videos} videos ({report.new_videos} new) with {streams}; encoder {report.encoder}")
    counts = ", ".join(f"{count} {split}" for split, count in report.queries.items())
    click.echo(f"queries: {counts}, {report.texts} different sentences")
    if report.kept:
        click.echo(f"kept as given: {', '.join(report.kept)}")
    for note in report.notes:
        click.echo(f"note: {note}")


def _overrides(files: tuple[str, ...]) -> dict[str, Path]:
    named = {}
    for entry in files:
        name, equals, path = entry.partition("=")
        if not equals:
            raise click.UsageError(f"--file {entry} is not NAME=PATH.")
        named[name] = Path(path)
    return named
