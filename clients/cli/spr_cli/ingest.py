"""`spr ingest`: video files to features."""

import contextlib
import dataclasses
import json
import os
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from spr_cli.options import Number
from spr_cli.transcribing import Wanted, text_options, texts_first

if TYPE_CHECKING:
    from trainer.ingest.meter import Progress
    from trainer.ingest.pipeline import IngestOptions
    from trainer.ingest.summary import Summary


def _fraction(context: click.Context, parameter: click.Parameter, text: str) -> Fraction:
    try:
        return Fraction(text)
    except (ValueError, ZeroDivisionError):
        raise click.BadParameter(f"{text!r} is no number; write 1, 0.5 or 1/3") from None


HELP = """Turn video files into features, in a collection.

PATHS are files, or directories that are searched with all below them. A file whose content is already in
the collection is passed over, one that was moved or renamed keeps its features, a changed one is read
again, and one that cannot be read is reported and never stops the rest. After an interruption of any kind
the same command goes on where it stopped, inside a long file too.

With --watch the collection has to be built; its own encoder and settings are used, and every video that
appears below PATHS is searchable soon after nobody writes it any more.

Exit code: 0 when all is ingested, 1 when some file or folder failed, 2 when nothing could begin, 130 when
it was stopped by Ctrl-C.

\b
spr ingest ~/videos --collection c --encoder build/demo/encoder
spr ingest talk.mp4 more/ --collection c --encoder openai/clip-vit-large-patch14 --device cuda
spr ingest ~/videos --collection c --encoder build/demo/encoder --json | jq .failed
spr ingest ~/videos --collection c --encoder build/demo/encoder --transcribe whisper:openai/whisper-small
spr ingest --watch ~/inbox --collection c
"""


@click.command(help=HELP)
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--collection", required=True, type=click.Path(path_type=Path, file_okay=False), help="Directory to fill."
)
@click.option("--name", help="The collection's name in searches. [default: the directory's]")
@click.option(
    "--encoder", help="CLIP, SigLIP or another dual encoder: a directory or a hub name. Not with --watch."
)
@click.option(
    "--watch", is_flag=True, help="Go on until Ctrl-C: add what appears in the folders to the collection."
)
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
@click.option("--forget", multiple=True, metavar="ID", help="Take a video out of the collection first.")
@click.option(
    "--max-pixels",
    default=64 << 20,
    show_default=True,
    type=click.IntRange(1),
    help="Of a picture; a file with larger ones is refused.",
)
@click.option(
    "--max-hours",
    type=Number(0, min_open=True),
    help="Of a video. By default an hour, a minute more for each picture and a second for each kB.",
)
@click.option(
    "--max-subtitle-mb",
    default=16,
    show_default=True,
    type=click.IntRange(1),
    help="Of a subtitle file, 6,250 cues each; a larger one is not used.",
)
@click.option(
    "--pictures/--no-pictures",
    default=True,
    help="Keep small ones for the web page, about 10 MB an hour of video.  [default: pictures]",
)
@click.option("--limit", default=0, type=click.IntRange(0), help="Only the first N files.")
@text_options
@click.option("--json", "as_json", is_flag=True, help="Print the summary as one JSON object on stdout.")
def command(
    paths: tuple[Path, ...],
    collection: Path,
    name: str | None,
    encoder: str | None,
    watch: bool,
    device: str,
    precision: str,
    max_pixels: int,
    max_hours: float | None,
    max_subtitle_mb: int,
    transcribe: str | None,
    language: str | None,
    read_screen: bool | None,
    as_json: bool,
    **settings: Any,
) -> None:
    """Read the options; the rest is `_ingest`."""
    if watch:
        from spr_cli.ingest_watch import follow_folders

        follow_folders(paths, collection, encoder, device, as_json)
        return
    if encoder is None:
        raise click.UsageError("Missing option '--encoder'.")

    from trainer.ingest.limits import Limits
    from trainer.ingest.pipeline import IngestOptions

    if language is not None and transcribe is None:
        raise click.UsageError("--language is of the recogniser; name one with --transcribe.")
    options = IngestOptions(**settings, limits=Limits(max_pixels, max_hours, max_subtitle_mb))
    model, wanted = (encoder, device, precision), Wanted(transcribe, language, read_screen)
    with ending_at_once():
        summary = _ingest(paths, collection, name, options, model, wanted)
    _tell(summary, as_json)
    sys.exit(1 if summary.failed else 0)


def _tell(summary: "Summary", as_json: bool) -> None:
    for line in summary.lines():
        click.echo(line, err=as_json)
    if as_json:
        # Names need not be Unicode: JSON's own escapes stand for what is none.
        text = json.dumps(summary.as_json(), ensure_ascii=False)
        click.echo(text.encode("utf-8", "backslashreplace").decode())


def _ingest(
    paths: tuple[Path, ...],
    collection: Path,
    name: str | None,
    options: "IngestOptions",
    model: tuple[str, str, str],
    wanted: Wanted,
) -> "Summary":
    """Ingest with a bar; what can be refused is refused before `model`, (name, device, precision), loads."""
    from trainer.ingest.opening import check
    from trainer.ingest.pipeline import ingest
    from workers.ranker.encoder.files import resolve

    found, source = check(paths, collection, options.fps), resolve(model[0])
    texts = texts_first(collection, found.found[: options.limit or None], wanted, model[1])

    from trainer.collection.places import describe_collection, keep_encoder, kept_encoder
    from trainer.ingest.tuning import encoding_threads
    from workers.ranker.encoder.encoder import Encoder

    loaded = Encoder.load(*model)
    _tell_changed(collection, loaded.fingerprint, model[0])
    with contextlib.ExitStack() as stack:
        options = dataclasses.replace(
            options,
            edge=loaded.frame_edge,
            encoders=stack.enter_context(encoding_threads(loaded.device)),
            settings=f"{loaded.device.type} {model[2]}",
        )
        summary = ingest(paths, collection, loaded, options, bar(stack), found)
    texts.note(summary)
    if name is not None:
        describe_collection(collection, name)
    if kept_encoder(collection, loaded.fingerprint) is None:
        keep_encoder(collection, source, loaded.fingerprint, model[0])
    return summary


def _tell_changed(collection: Path, fingerprint: str, source: str) -> None:
    """Say so where an encoder's files are others than when the collection was ingested."""
    from workers.ranker.encoder.files import explain, resolve

    for store in (collection / "features").glob("*/store.json"):
        before = store.parent.name
        if before != fingerprint and (why := explain(resolve(source), before)):
            click.echo(f"note: encoder {before} is now {fingerprint}{why}", err=True)


def bar(stack: contextlib.ExitStack) -> "Progress":
    """Return what shows a bar from the first call on."""
    from trainer.runs.progress import Progress as Bar

    bars: list[Bar] = []

    def progress(done: int, total: int, words: str) -> None:
        if not bars:
            bars.append(stack.enter_context(Bar("ingest", max(1, total // 1000), unit="kB")))
        bars[0].update(done // 1000, words)

    return progress


@contextlib.contextmanager
def ending_at_once() -> Iterator[None]:
    """Let Ctrl-C end this process now, with what it kept: encoders in threads would go on for a minute."""
    try:
        yield
    except KeyboardInterrupt as stopped:
        summary = getattr(stopped, "summary", None)
        done = summary.ingested if summary is not None else 0
        kept = "1 video was" if done == 1 else f"{done} videos were"
        click.echo(
            f"\nspr: stopped; {kept} ingested and kept. The same command goes on where this one stopped, "
            "inside a long file too.",
            err=True,
        )
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(130)
