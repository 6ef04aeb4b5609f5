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
    from trainer.speech.run import Recogniser, Transcribed

_OPTIONS = (
    click.option(
        "--transcribe",
        metavar="ENGINE",
        help="Write down what is said in videos without subtitles: moonshine (English), whisper:MODEL, "
        "pocketsphinx (weak), or none. Later ingests into the collection do it too.",
    ),
    click.option("--language", help="Spoken in the videos, as en or de. [default: detected by whisper]"),
    click.option(
        "--terms",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="Names and terms that are said, a line each: most of them are heard then.",
    ),
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
    """What the options want: a recogniser, the language it hears, terms to expect, whether screens are read.

    None: what the collection's last ingest wanted.
    """

    transcribe: str | None
    language: str | None
    terms: tuple[str, ...]
    read_screen: bool | None

    def recogniser(self, collection: Path, device: str) -> "Recogniser | None":
        """Return what the options or else the collection name, None for none."""
        from trainer.speech.run import Recogniser
        from trainer.speech.setting import OFF, recogniser_of

        if self.transcribe == OFF:
            return None
        if self.transcribe:
            return Recogniser(self.transcribe, device, self.language, self.terms)
        return recogniser_of(collection, device)

    def chosen(self, collection: Path, device: str) -> "tuple[Recogniser | None, bool]":
        """Return what is to be done; Unavailable, or InvalidInput, where it cannot be."""
        from trainer.screen.engine import check_installed
        from trainer.screen.setting import reads_screens
        from trainer.speech.engines import check_spec

        if self.read_screen:
            check_installed()
        recogniser = self.recogniser(collection, device)
        if recogniser is not None:
            check_spec(recogniser.spec, recogniser.language, recogniser.terms)
        return recogniser, reads_screens(collection) if self.read_screen is None else self.read_screen


def wanted_of(
    transcribe: str | None, language: str | None, terms: Path | None, read_screen: bool | None
) -> Wanted:
    """Return what the options of `text_options` want; InvalidInput for a bad file of terms."""
    from trainer.speech.setting import OFF
    from trainer.speech.terms import read_terms

    for option, given in (("--language", language), ("--terms", terms)):
        if given is not None and transcribe in (None, OFF):
            raise click.UsageError(f"{option} is of the recogniser; name one with --transcribe.")
    return Wanted(transcribe, language, () if terms is None else read_terms(terms), read_screen)


def remember(collection: Path, wanted: Wanted, device: str) -> None:
    """Let later ingests do what this one was told to."""
    from trainer.screen.setting import set_reading
    from trainer.speech.setting import set_recogniser

    if wanted.transcribe is not None:
        set_recogniser(collection, wanted.recogniser(collection, device))
    if wanted.read_screen is not None:
        set_reading(collection, wanted.read_screen)


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
    transcribed = transcribed_first(collection, files, wanted, device)
    return Made(transcribed, read_first(collection, files, wanted.read_screen))


def transcribed_first(
    collection: Path, files: "Sequence[VideoFile]", wanted: Wanted, device: str
) -> "Transcribed | None":
    """Transcribe what has no subtitles, where the collection or the options name a recogniser."""
    from trainer.speech.run import transcribe_all
    from trainer.speech.setting import set_recogniser

    chosen = wanted.recogniser(collection, device)
    result = None
    if chosen is not None:
        with contextlib.ExitStack() as stack:
            result = transcribe_all(collection, files, chosen, _bar(stack, "transcribe"))
    if wanted.transcribe is not None:
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
    from trainer.progress import Progress as Bar

    bars: list[Bar] = []

    def progress(done: float, total: float, words: str) -> None:
        if not bars:
            bars.append(stack.enter_context(Bar(name, max(1, int(total)), unit="s")))
        bars[0].update(int(done), words)

    return progress
