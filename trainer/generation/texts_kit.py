"""What the texts of all parts of a version are made with."""

from dataclasses import dataclass
from pathlib import Path

from engine.entries import TextsEntry
from workers.index.lexicon import Lexicon
from workers.index.training import Template
from workers.ranker.sentences import centre
from workers.ranker.sentences.encoder import SentenceEncoder
from workers.ranker.sentences.opening import open_entry


@dataclass(frozen=True)
class TextsKit:
    """What the texts of parts are made with. encoder, template: None without sentence vectors.

    encoder: as the version has it, less its centre; None also where no text is to be encoded.
    """

    entry: TextsEntry
    lexicon: Lexicon
    template: Template | None = None
    encoder: SentenceEncoder | None = None

    def save(self, collection: Path) -> None:
        """Keep lexicon, trained index and centre in the collection."""
        self.lexicon.save(collection)
        if self.template is not None:
            self.template.save(collection)
        if isinstance(self.encoder, centre.Centred):
            self.encoder.centre.save(collection)


def open_texts(collection: Path, entry: TextsEntry | None, device: str | None = "auto") -> TextsKit | None:
    """Return what the texts of a version's parts were made with; Mismatch where that is gone.

    entry: the version's. device: of the sentence encoder; None: no text is to be encoded.
    """
    if entry is None:
        return None
    lexicon = Lexicon.read(collection, entry.lexicon_sha256)
    if entry.encoder is None:
        return TextsKit(entry, lexicon)
    template = Template.read(collection, entry.quantizer_sha256)
    if device is None:
        return TextsKit(entry, lexicon, template)
    encoder = open_entry(collection, entry.encoder, device)
    return TextsKit(entry, lexicon, template, centre.as_built(collection, entry, encoder))
