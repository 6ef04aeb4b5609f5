"""Texts of segment vectors: a segment says which of its values are largest, and means the vector itself."""

from collections.abc import Iterable
from pathlib import Path

import faiss
import numpy as np

from engine.entries import EncoderEntry, TextsEntry
from engine.types import Floats
from tests.workers.index.corpora import Videos, rows_of
from workers.index.lexicon import Lexicon
from workers.index.text_part import TextPart
from workers.index.training import Template


class Spoken:
    """The frozen statistics of the texts of some videos, with a sentence index of vectors of width `dim`."""

    def __init__(self, videos: Videos, dim: int, template: Template | None = None) -> None:
        self.lexicon = Lexicon.of({"said": [document for _, document in _said(rows_of(videos)[0])]})
        self.template = template or Template(faiss.IndexFlatIP(dim))
        encoder = EncoderEntry("mine", "f0f0f0f0f0f0f0f0")
        self.entry = TextsEntry(self.lexicon.sha256, encoder, dim, "Flat", self.template.sha256)

    def save(self, collection: Path) -> None:
        self.lexicon.save(collection)
        self.template.save(collection)

    def write(self, building: Path, videos: Videos) -> None:
        """Write what is said in the videos of a part."""
        vectors, numbers, segments = rows_of(videos)
        rows = np.array([row for row, _ in _said(vectors)], np.int64)
        documents = [document for _, document in _said(vectors)]
        tables = numbers[rows], segments[rows], self.lexicon.channel("said")
        TextPart.build(documents, *tables, self.template, [vectors[rows]]).save(building / "said", self.entry)


def question(vector: Floats) -> str:
    """Ask for what a vector's segment says."""
    return " ".join(f"value{place}" for place in np.argsort(-vector)[:4])


def _said(vectors: Floats) -> Iterable[tuple[int, str]]:
    # Half of them say nothing.
    return [(row, question(vector)) for row, vector in enumerate(vectors) if vector[0] > 0]
