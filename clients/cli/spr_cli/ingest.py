"""`spr ingest`: video files to features."""

import contextlib
import json
import sys
from fractions import Fraction
from pathlib import Path

import click


def _fraction(context: click.Context, parameter: click.Parameter, text: str) -> Fraction:
    try:
        return Fraction(text)
    except (ValueError, ZeroDivisionError):
        raise click.BadParameter(f"{text!r} is no number; write 1, 0.5 or 1/3") from None


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--collection", required=True, type=click.Path(path_type=Path, file_okay=False), help="Directory to fill."
)
@click.option("--name", help="The collection's name in searches. [default: the directory's]")
@click.option("--encoder", required=True, help="CLIP or SigLIP: a directory or a hub name.")
@click.option(
    "--fps",
    default="1",
    show_default=True,
    callback=_fraction,
    help="Frames a second: 1, 0.5, 1/3 ...",
)
@click.option("--batch-size", default=64, show_default=True, type=click.IntRange(1), help="Frames at once.")
@click.option(
    "--dtype",
    default="float16",
    show_default=True,
    type=click.Choice(["float16", "float32"]),
    help="Stored.",
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
@click.option(
    "--precision",
    default="auto",
    show_default=True,
    type=click.Choice(["auto", "float32", "float16", "bfloat16"]),
    help="Of the encoder; auto is float16 on CUDA.",
)
@click.option("--readers", default=0, type=click.IntRange(0), help="Files at a time; 0: one a core.")
@click.option("--keep-truncated", is_flag=True, help="Use what is there of files that were cut off.")
@click.option("--limit", default=0, type=click.IntRange(0), help="Only the first N files.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as one JSON object on stdout.")
def command(
    paths: tuple[Path, ...],
    collection: Path,
    name: str | None,
    encoder: str,
    fps: Fraction,
    batch_size: int,
    dtype: str,
    device: str,
    precision: str,
    readers: int,
    keep_truncated: bool,
    limit: int,
    as_json: bool,
) -> None:
    """Turn video files into features, in a collection.

    PATHS are files, or directories that are searched with all below them. A file whose content is already in
    the collection is passed over, a changed one is read again, and one that cannot be read is reported and
    never stops the rest. After an interruption of any kind the same command goes on where it stopped.

    Exit code: 0 when all is ingested, 1 when some file failed, 2 when nothing could begin.

    \b
    spr ingest ~/videos --collection c --encoder build/demo/encoder
    spr ingest talk.mp4 more/ --collection c --encoder openai/clip-vit-large-patch14 --device cuda
    spr ingest ~/videos --collection c --encoder build/demo/encoder --json | jq .failed
    """
    from trainer.collection import describe_collection, keep_encoder, kept_encoder
    from trainer.ingest.pipeline import IngestOptions, ingest
    from trainer.ingest.tuning import encoding_threads, frame_edge
    from trainer.runs.progress import Progress
    from workers.ranker.encoder import Encoder
    from workers.ranker.encoder_files import explain, resolve

    loaded = Encoder.load(encoder, device, precision)
    for store in (collection / "features").glob("*/store.json"):
        if store.parent.name != loaded.fingerprint and (why := explain(resolve(encoder), store.parent.name)):
            click.echo(f"note: encoder {store.parent.name} is now {loaded.fingerprint}{why}", err=True)
    with contextlib.ExitStack() as stack:
        encoders = stack.enter_context(encoding_threads(loaded.device))
        edge = frame_edge(loaded)
        options = IngestOptions(fps, edge, batch_size, dtype, keep_truncated, limit, readers, encoders)
        bars: list[Progress] = []

        def progress(done: int, total: int, words: str) -> None:
            if not bars:
                bars.append(stack.enter_context(Progress("ingest", max(1, total // 1000), unit="kB")))
            bars[0].update(done // 1000, words)

        summary = ingest(paths, collection, loaded, options, progress)
        if name is not None:
            describe_collection(collection, name)
        if kept_encoder(collection, loaded.fingerprint) is None:
            keep_encoder(collection, resolve(encoder), loaded.fingerprint, encoder)
    for line in summary.lines():
        click.echo(line, err=as_json)
    if as_json:
        click.echo(json.dumps(summary.as_json(), ensure_ascii=False))
    sys.exit(1 if summary.failed else 0)
