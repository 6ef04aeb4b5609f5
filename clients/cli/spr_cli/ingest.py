"""`spr ingest`: video files to features."""

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from spr_cli.options import ENGINE, Number, leave_out
from spr_cli.transcribing import text_options, wanted_of

if TYPE_CHECKING:
    from trainer.ingest.meter import Progress
    from trainer.ingest.summary import Summary
    from workers.feature_store.shares import Share


def _fraction(context: click.Context, parameter: click.Parameter, text: str) -> Fraction:
    try:
        return Fraction(text)
    except (ValueError, ZeroDivisionError):
        raise click.BadParameter(f"{text!r} is no number; write 1, 0.5 or 1/3") from None


def _share(context: click.Context, parameter: click.Parameter, text: str) -> "Share":
    from workers.feature_store.shares import Share

    return Share.parse(text)


# What --watch goes by.
WATCHING = {"paths", "collection", "watch", "device", "as_json"}
HELP = """Turn video files into features, in a collection.

PATHS are files, directories that are searched with all below them, or URLs: s3://BUCKET/PREFIX, gs://, az://,
and https:// for one file. A file whose content is already in
the collection is passed over, one that was moved or renamed keeps its features, a changed one is read
again, and one that cannot be read is reported and never stops the rest. After an interruption of any kind
the same command goes on where it stopped, inside a long file too.

With --part I/N, I from 0 to N - 1, this run takes an Nth of the files, and N runs at the same time, on
machines that share the collection's disk, end as one run without it.

With --watch the collection has to be built; its own encoder and settings are used, and every video that
appears below PATHS is searchable soon after nobody writes it any more.

Exit code: 0 when all is ingested, 1 when some file or folder failed, 2 when nothing could begin, 130 when
it was stopped by Ctrl-C.

\b
spr ingest ~/videos --collection c --encoder build/demo/encoder
spr ingest talk.mp4 more/ --collection c --encoder openai/clip-vit-large-patch14 --device cuda
spr ingest ~/videos --collection c --read-screen --transcribe whisper:openai/whisper-small
spr ingest ~/videos --collection c --transcribe moonshine --terms names.txt
spr ingest s3://bucket/archive --collection c --json | jq .failed
spr ingest /archive --collection c --encoder build/demo/encoder --part 2/8
spr ingest --watch ~/inbox --collection c
"""


@click.command(help=HELP)
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--collection", required=True, type=click.Path(path_type=Path, file_okay=False), help="Directory to fill."
)
@click.option("--name", help="The collection's name in searches. [default: the directory's]")
@click.option(
    "--encoder",
    help="CLIP, SigLIP or another dual encoder: a directory or a hub name. [default: the collection's own]",
)
@click.option(
    "--clip-encoder",
    help="X-CLIP, VideoPrism or another that reads clips, for searches to find segments by, or none: a "
    "directory or a hub name. [default: the collection's own]",
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
@click.option(
    "--part",
    "share",
    default="0/1",
    metavar="I/N",
    callback=_share,
    help="One of N runs at the same time: I from 0 to N - 1.",
)
@text_options
@ENGINE
@click.option("--json", "as_json", is_flag=True, help="Print the summary as one JSON object on stdout.")
def command(
    paths: tuple[Path, ...],
    collection: Path,
    name: str | None,
    encoder: str | None,
    clip_encoder: str | None,
    watch: bool,
    device: str,
    precision: str,
    max_pixels: int,
    max_hours: float | None,
    max_subtitle_mb: int,
    transcribe: str | None,
    language: str | None,
    terms: Path | None,
    read_screen: bool | None,
    engine: str,
    as_json: bool,
    **settings: Any,
) -> None:
    """Read the options; the rest is `ingest_files`."""
    if sum((watch, engine != "local", not settings["share"].whole)) > 1:
        raise click.UsageError("--watch, --part and --engine ray go alone: give one of them.")
    if watch:
        from spr_cli.ingest_watch import follow_folders

        leave_out("--watch takes encoder and settings from the collection", *_idle())
        follow_folders(paths, collection, device, as_json)
        return

    from spr_cli.ingest_files import Models, ingest_files
    from trainer.ingest.limits import Limits
    from trainer.ingest.options import IngestOptions

    wanted = wanted_of(transcribe, language, terms, read_screen)
    options = IngestOptions(**settings, limits=Limits(max_pixels, max_hours, max_subtitle_mb))
    models = Models(encoder, clip_encoder, device, precision)
    with ending_at_once():
        _tell(ingest_files(paths, collection, name, options, models, wanted, engine), as_json)


def _idle() -> set[str]:
    """Return the names of the options that --watch does not go by."""
    return {option.name or "" for option in command.params} - WATCHING


def _tell(summary: "Summary", as_json: bool) -> None:
    for line in summary.lines():
        click.echo(line, err=as_json)
    if as_json:
        # Names need not be Unicode: JSON's own escapes stand for what is none.
        text = json.dumps(summary.as_json(), ensure_ascii=False)
        click.echo(text.encode("utf-8", "backslashreplace").decode())
    sys.exit(1 if summary.failed else 0)


def bar(stack: contextlib.ExitStack) -> "Progress":
    """Return what shows a bar from the first call on."""
    from trainer.progress import Progress as Bar

    bars: list[Bar] = []

    def progress(done: int, total: int, words: str) -> None:
        if not bars:
            bars.append(stack.enter_context(Bar("ingest", 1, unit="kB")))
        bars[0].update(done // 1000, words, max(1, total // 1000))

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
