"""What a recogniser makes of an utterance."""

from dataclasses import dataclass

from engine.errors import InvalidInput, quoted
from trainer.ingest.subtitles import Cue


@dataclass(frozen=True, slots=True)
class Heard:
    """Sentences, in seconds from the utterance's start, and their language, ISO 639."""

    cues: list[Cue]
    language: str


def english_alone(engine: str, language: str | None) -> None:
    """Refuse (InvalidInput) another language for a recogniser that knows none but English."""
    if language not in (None, "en"):
        raise InvalidInput(f"{engine} hears English alone, not {quoted(language or '')}; take whisper:MODEL.")
