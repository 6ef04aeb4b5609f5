"""What is said, or written, in the videos of one part: searched by words, and by sentence vectors.

    said/, written/       where a video of the part has such a text; below it
    texts.json            {"lexicon_sha256", "encoder"}: what it was made with; encoder "" without vectors;
                          "centre_sha256" where they are less a centre
    segment_videos.npy    int32 (n,) number of each row's video inside the part
    segment_offsets.npy   int32 (n,) segment number inside its video
    words/                the word index of the rows: words.py
    index.faiss, originals.faiss, search.json    the rows' vectors: part.py

Rows are the segments that have text, ordered by (video, segment).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.entries import TextsEntry, refuse
from engine.errors import NotFound
from engine.files import make_folder, read_json, sync, write_json
from engine.types import Floats, Hits, Ordinals
from workers.index.lexicon import Lexicon, Statistics
from workers.index.living import Living
from workers.index.part import OFFSETS, VIDEOS, IndexPart
from workers.index.training import Template
from workers.index.words import DIRECTORY, WordIndex

ABOUT = "texts.json"
_REMEDY = "copy the part again, or run `spr build`"


@dataclass(frozen=True, slots=True, eq=False)
class TextPart:
    """The texts of one channel in a part, searchable from many threads at once. videos, segments: of rows."""

    videos: Ordinals
    segments: Ordinals
    words: WordIndex
    vectors: IndexPart | None

    @staticmethod
    def build(
        documents: Sequence[str],
        videos: Ordinals,
        segments: Ordinals,
        statistics: Statistics,
        template: Template | None = None,
        blocks: Iterable[Floats] = (),
    ) -> "TextPart":
        """Index the texts of rows. blocks: their unit vectors (m, dim), where there is a template."""
        vectors = IndexPart.build(template, blocks, videos, segments) if template is not None else None
        return TextPart(videos, segments, WordIndex.build(documents, statistics), vectors)

    def __len__(self) -> int:
        return len(self.videos)

    def save(self, directory: Path, entry: TextsEntry) -> None:
        """Write all files, synced, into the channel's directory; the caller seals the part."""
        make_folder(directory)
        self.words.save(directory / DIRECTORY)
        if self.vectors is not None:
            self.vectors.save(directory)
        else:
            for name, table in ((VIDEOS, self.videos), (OFFSETS, self.segments)):
                np.save(directory / name, table)
                sync(directory / name)
        write_json(directory / ABOUT, _about(entry))

    @staticmethod
    def open(
        directory: Path,
        entry: TextsEntry,
        lexicon: Lexicon,
        template: Template | None = None,
        again: bool = False,
    ) -> "TextPart":
        """Map the files of a channel's directory; NotFound or Mismatch for what is missing or damaged.

        template: what codes that this FAISS cannot read, or all with `again`, are made again from, of their
        originals.
        """
        if read_json(directory / ABOUT, dict) != _about(entry):
            raise refuse(f"{directory} was made with another lexicon or sentence encoder: {_REMEDY}.")
        try:
            videos, segments = (np.load(directory / name) for name in (VIDEOS, OFFSETS))
        except FileNotFoundError as error:
            raise NotFound(f"{error.filename} does not exist: {_REMEDY}.") from None
        except (OSError, ValueError) as error:
            raise refuse(f"{directory} cannot be read ({error}): {_REMEDY}.") from None
        words = WordIndex.open(directory / DIRECTORY, lexicon.channel(directory.name), len(videos))
        vectors = IndexPart.open(directory, "cpu", template, again) if entry.encoder is not None else None
        if len(videos) != len(segments) or (vectors is not None and vectors.dim != entry.dim):
            raise refuse(f"{directory} has tables that do not agree: {_REMEDY}.")
        return TextPart(videos, segments, words, vectors)

    def search_words(self, text: str, k: int, living: NDArray[np.bool_] | None = None) -> Hits:
        """Return the best `k` segments by their words, scores 0..1; see `WordIndex.search`."""
        rows, scores = self.words.search(text, k, living)
        return Hits(self.videos[rows], self.segments[rows], scores)

    def search_meaning(self, sentence: Floats, k: int, living: Living | None = None) -> Hits:
        """Return the best `k` segments by the cosine of a unit vector (dim,); none without vectors."""
        if self.vectors is None:
            return Hits(self.videos[:0], self.segments[:0], np.zeros(0, np.float32))
        return self.vectors.search(sentence[None], k, living=living)[0]


def _about(entry: TextsEntry) -> dict[str, str]:
    about = {
        "lexicon_sha256": entry.lexicon_sha256,
        "encoder": entry.encoder.fingerprint if entry.encoder is not None else "",
    }
    return about | ({"centre_sha256": entry.centre_sha256} if entry.centre_sha256 else {})
