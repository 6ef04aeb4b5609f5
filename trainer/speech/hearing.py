"""One video to a transcript, going on after a kill where it stopped."""

from dataclasses import dataclass

from trainer.ingest.passes import Partial, Task, Told
from trainer.ingest.subtitles import Cue
from trainer.speech.engines import Engine
from trainer.speech.sound import sound
from trainer.speech.voice import Utterance, utterances


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was heard. speech: seconds of it that the recogniser listened to, before a kill included."""

    cues: int
    speech: float
    language: str


def transcribe(task: Task, engine: Engine, told: Told) -> Outcome:
    """Write the transcript of a video. told: called with the seconds of the video that are done.

    Raises BadVideo where the file cannot be opened, OSError where the transcript cannot be written.
    """
    cues: list[Cue] = []
    speech, languages = 0.0, dict[str, float]()
    with Partial(task, engine.name) as partial:
        for utterance in utterances(sound(task.path)):
            at = f"{utterance.start:.3f}-{utterance.end:.3f}"
            if at not in partial.known:
                partial.note(at, _hear(engine, utterance))
            language, heard = partial.known[at]
            length = utterance.end - utterance.start
            languages[language] = languages.get(language, 0.0) + length
            cues += [Cue(utterance.start + begin, utterance.start + end, text) for begin, end, text in heard]
            speech += length
            told(utterance.end)
    language = max(languages, key=languages.__getitem__, default="")
    task.transcripts.write(task.content, task.path.name, engine.name, language, cues)
    partial.remove()
    return Outcome(len(cues), speech, language)


def _hear(engine: Engine, utterance: Utterance) -> tuple[str, list[tuple[float, float, str]]]:
    heard = engine.hear(utterance.samples)
    return heard.language, [(cue.start, cue.end, cue.text) for cue in heard.cues]
