"""One video to a transcript, going on after a kill where it stopped."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from trainer.ingest.subtitles import Cue
from trainer.ingest.transcripts import Transcripts
from trainer.speech.engines import Engine
from trainer.speech.sound import sound
from trainer.speech.voice import Utterance, utterances


@dataclass(frozen=True, slots=True)
class Task:
    """A video to transcribe. content: the SHA-256 of its file."""

    path: Path
    content: str
    transcripts: Transcripts

    @property
    def partial(self) -> Path:
        """Where utterances are kept until the transcript is complete."""
        return self.transcripts.folder / f".{self.content}.partial.jsonl"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was heard. speech: seconds of it that the recogniser listened to, before a kill included."""

    cues: int
    speech: float
    language: str


def transcribe(task: Task, engine: Engine, told: Callable[[float], None]) -> Outcome:
    """Write the transcript of a video. told: called with the seconds of the video that are done.

    Raises BadVideo where the file cannot be opened, OSError where the transcript cannot be written.
    """
    task.transcripts.folder.mkdir(parents=True, exist_ok=True)
    known = _known(task.partial, engine.name)
    cues: list[Cue] = []
    speech, languages = 0.0, dict[str, float]()
    with task.partial.open("a", encoding="utf-8") as partial:
        if not partial.tell():
            partial.write(json.dumps({"engine": engine.name}) + "\n")
        for utterance in utterances(sound(task.path)):
            language, heard = known.get(_key(utterance)) or _hear(engine, utterance)
            if _key(utterance) not in known:
                line = {"at": _key(utterance), "language": language, "cues": heard}
                partial.write(json.dumps(line) + "\n")
                partial.flush()
            length = utterance.end - utterance.start
            languages[language] = languages.get(language, 0.0) + length
            cues += [Cue(utterance.start + begin, utterance.start + end, text) for begin, end, text in heard]
            speech += length
            told(utterance.end)
    language = max(languages, key=languages.__getitem__, default="")
    task.transcripts.write(task.content, task.path.name, engine.name, language, cues)
    task.partial.unlink(missing_ok=True)
    return Outcome(len(cues), speech, language)


def _hear(engine: Engine, utterance: Utterance) -> tuple[str, list[tuple[float, float, str]]]:
    heard = engine.hear(utterance.samples)
    return heard.language, [(cue.start, cue.end, cue.text) for cue in heard.cues]


def _key(utterance: Utterance) -> str:
    return f"{utterance.start:.3f}-{utterance.end:.3f}"


def _known(path: Path, engine: str) -> dict[str, tuple[str, list[tuple[float, float, str]]]]:
    """Return the utterances that this engine heard before; what another one heard is thrown away."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return {}
    found = {}
    try:
        if json.loads(lines[0])["engine"] != engine:
            raise ValueError
        for line in lines[1:]:
            entry = json.loads(line)
            found[entry["at"]] = entry["language"], [(b, e, text) for b, e, text in entry["cues"]]
    except (ValueError, KeyError, TypeError, IndexError):  # the last line is torn, or the engine another
        path.unlink(missing_ok=True)
        with path.open("w", encoding="utf-8") as kept:
            kept.writelines(json.dumps(line) + "\n" for line in _lines(engine, found))
    return found


def _lines(
    engine: str, found: dict[str, tuple[str, list[tuple[float, float, str]]]]
) -> list[dict[str, object]]:
    entries: list[dict[str, object]] = [
        {"at": at, "language": language, "cues": cues} for at, (language, cues) in found.items()
    ]
    return [{"engine": engine}, *entries]
