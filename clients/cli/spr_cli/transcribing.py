"""Speech and screens to text before an ingest, with a bar."""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from trainer.ingest.passes import Progress
    from trainer.ingest.scan import VideoFile
    from trainer.ingest.summary import Summary
    from trainer.screen.run import ScreensRead
    from trainer.speech.run import Transcribed

_OPTIONS = (
    click.option(
        "--transcribe",
        metavar="ENGINE",
        help="Write down what is said in videos without subtitles: moonshine (English), whisper:MODEL, "
        "pocketsphinx (weak), or none. Later ingests into the collection do it too.",
    ),
    click.option("--language", help="Spoken in the videos, as en or de. [default: detected by whisper]"),
    click.option(
        "--read-screen/--no-read-screen",
        default=None,
        help="Read what is written in the pictures, with its place and time. Later ingests into the "
        "collection do it too.  [default: as the last ingest]",
    ),
)


def text_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of `Wanted`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the options want: a recogniser, the language it hears, whether screens are read.

    None: what the collection's last ingest wanted.
    """

    transcribe: str | None
    language: str | None
    read_screen: bool | None


@dataclass(frozen=True, slots=True)
class Made:
    """What was transcribed and read, None where that was not wanted."""

    transcribed: "Transcribed | None"
    read: "ScreensRead | None"

    def note(self, summary: "Summary") -> None:
        """Tell of it in an ingest's summary."""
        if self.transcribed is not None:
            summary.heard(self.transcribed)
        if self.read is not None:
            summary.read(self.read)


def texts_first(collection: Path, files: "Sequence[VideoFile]", wanted: Wanted, device: str) -> Made:
    """Transcribe and read, where the options or the collection want it."""
    from trainer.screen.engine import check_installed

    if wanted.read_screen:
        # Before transcribing, which may take hours.
        check_installed()
    transcribed = transcribed_first(collection, files, (wanted.transcribe, wanted.language), device)
    return Made(transcribed, read_first(collection, files, wanted.read_screen))


def transcribed_first(
    collection: Path, files: "Sequence[VideoFile]", said: tuple[str | None, str | None], device: str
) -> "Transcribed | None":
    """Transcribe what has no subtitles, where the collection or the options name a recogniser."""
    from trainer.speech.run import Recogniser, transcribe_all
    from trainer.speech.setting import OFF, recogniser_of, set_recogniser

    engine, language = said
    if engine == OFF:
        set_recogniser(collection, None)
        return None
    chosen = Recogniser(engine, device, language) if engine else recogniser_of(collection, device)
    if chosen is None:
        return None
    with contextlib.ExitStack() as stack:
        result = transcribe_all(collection, files, chosen, _bar(stack, "transcribe"))
    if engine is not None:
        set_recogniser(collection, chosen)
    return result


def read_first(collection: Path, files: "Sequence[VideoFile]", wanted: bool | None) -> "ScreensRead | None":
    """Read what is written on the screen, where the options or, for None, the collection want it."""
    from trainer.screen.run import read_screens
    from trainer.screen.setting import reads_screens, set_reading

    result = None
    if wanted or (wanted is None and reads_screens(collection)):
        with contextlib.ExitStack() as stack:
            result = read_screens(collection, files, _bar(stack, "read screens"))
    if wanted is not None:
        set_reading(collection, wanted)
    return result


def _bar(stack: contextlib.ExitStack, name: str) -> "Progress":
    """Return what shows a bar of seconds from the first call on."""
    from trainer.runs.progress import Progress as Bar

    bars: list[Bar] = []

    def progress(done: float, total: float, words: str) -> None:
        if not bars:
            bars.append(stack.enter_context(Bar(name, max(1, int(total)), unit="s")))
        bars[0].update(int(done), words)

    return progress
