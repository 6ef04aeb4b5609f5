"""Speech to text before an ingest, with a bar."""

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trainer.ingest.scan import VideoFile
    from trainer.speech.run import Transcribed


def transcribed_first(
    collection: Path, files: "Sequence[VideoFile]", said: tuple[str | None, str | None], device: str
) -> "Transcribed | None":
    """Transcribe what has no subtitles, where the collection or the options name a recogniser."""
    from trainer.runs.progress import Progress as Bar
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
        bars: list[Bar] = []

        def progress(done: float, total: float, words: str) -> None:
            if not bars:
                bars.append(stack.enter_context(Bar("transcribe", max(1, int(total)), unit="s")))
            bars[0].update(int(done), words)

        result = transcribe_all(collection, files, chosen, progress)
    if engine is not None:
        set_recogniser(collection, chosen)
    return result
