"""The recogniser of a collection: what its videos without subtitles are transcribed by, from now on."""

from pathlib import Path

from engine.files import read_json, write_json
from trainer.collection.places import ABOUT, describe_collection
from trainer.speech.run import Recogniser

OFF = "none"
_KEY = "transcribe"


def recogniser_of(collection: Path, device: str = "auto") -> Recogniser | None:
    """Return the recogniser that a collection's last ingest named, None for none."""
    try:
        found = read_json(collection / ABOUT, dict).get(_KEY)
    except FileNotFoundError:
        return None
    if not isinstance(found, dict) or not isinstance(found.get("engine"), str):
        return None
    language, terms = found.get("language"), found.get("terms")
    return Recogniser(
        found["engine"],
        device,
        language if isinstance(language, str) else None,
        tuple(term for term in terms if isinstance(term, str)) if isinstance(terms, list) else (),
    )


def set_recogniser(collection: Path, recogniser: Recogniser | None) -> None:
    """Let all later ingests and adds of a collection transcribe by this one; None: no more."""
    describe_collection(collection)
    about = read_json(collection / ABOUT, dict)
    before = about.pop(_KEY, None)
    if recogniser is not None:
        about[_KEY] = {"engine": recogniser.spec, "language": recogniser.language}
        if recogniser.terms:
            about[_KEY]["terms"] = list(recogniser.terms)
    if about.get(_KEY) != before:
        write_json(collection / ABOUT, about)
