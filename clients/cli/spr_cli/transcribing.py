"""Speech and screens to text before an ingest, with a bar."""

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trainer.ingest.passes import Progress
    from trainer.ingest.scan import VideoFile
    from trainer.screen.run import ScreensRead
    from trainer.speech.run import Transcribed


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
