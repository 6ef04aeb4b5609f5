"""What is said and written in videos, all in memory and exactly searched: the lists that a service makes."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from engine import merge
from engine.corpus import Corpus
from engine.part_texts import PartTexts
from engine.texts import LISTS, TEXTS, WORDS, TextHits
from engine.types import Floats, Hits, Ordinals
from trainer.collection.texts import centred, segment_texts
from trainer.ingest.texts import Texts
from workers.index.lexicon import Lexicon
from workers.index.words import WordIndex
from workers.ranker.sentences.encoder import SentenceEncoder


@dataclass(frozen=True, slots=True, eq=False)
class Channel:
    """The segments with text of one channel, by (video, segment): (n,) each. vectors: (n, dim) or None."""

    videos: Ordinals
    segments: Ordinals
    words: WordIndex
    vectors: Floats | None

    def search(self, text: str, sentence: Floats | None, method: str, k: int) -> Hits | None:
        """Return the best `k` hits, best first; None for meaning that cannot be sought."""
        if method == WORDS:
            rows, scores = self.words.search(text, k)
            return Hits(self.videos[rows], self.segments[rows], scores)
        if self.vectors is None or sentence is None:
            return None
        return merge.top_k([Hits(self.videos, self.segments, self.vectors @ sentence)], k)


@dataclass(frozen=True, slots=True, eq=False)
class TextRetrieval:
    """What videos say and show. channels: those that have text.

    encoder: what queries are encoded with, None for words alone; usual_cosine: of two texts, 0 without.
    """

    channels: Mapping[str, Channel]
    encoder: SentenceEncoder | None = None
    usual_cosine: float = 0.0

    @staticmethod
    def of(
        texts: Sequence[Texts],
        counts: Ordinals,
        length: float,
        *,
        lexicon: Lexicon | None = None,
        encoder: SentenceEncoder | None = None,
    ) -> "TextRetrieval":
        """Index texts, one a video; counts: (videos,) segments of each, of `length` seconds.

        lexicon: of the version, as whose texts are encoded; without one both are made as a build does.
        """
        parts = {channel: _segments(texts, channel, counts, length) for channel in TEXTS}
        usual, documents = 0.0, [text for part in parts.values() for text in part.values()]
        if lexicon is None and encoder is not None and documents:
            encoder, usual = centred(encoder, documents)
        if lexicon is None:
            lexicon = Lexicon.of({channel: list(part.values()) for channel, part in parts.items()})
        indexed = {}
        for channel, part in parts.items():
            if part:
                places, documents = np.array(list(part), np.int32), list(part.values())
                words = WordIndex.build(documents, lexicon.channel(channel))
                vectors = encoder.passages(documents) if encoder else None
                indexed[channel] = Channel(places[:, 0].copy(), places[:, 1].copy(), words, vectors)
        return TextRetrieval(indexed, encoder, usual)

    @staticmethod
    def of_version(corpus: Corpus, encoder: SentenceEncoder | None) -> "TextRetrieval | None":
        """Index the texts of a version's living videos, read from its parts; None for one without texts."""
        version = corpus.version
        if version.texts is None:
            return None
        texts = [Texts()] * len(corpus.catalogue)
        for part in corpus.parts:
            if (lines := PartTexts.open(part.directory)) is None:
                continue
            with contextlib.closing(lines):
                for number in part.living.tolist():
                    said, written = (tuple(lines.all(number, channel)) for channel in TEXTS)
                    texts[part.ordinals[number]] = Texts(said, written)
        lexicon = Lexicon.read(corpus.directory, version.texts.lexicon_sha256)
        columns = (corpus.catalogue.segments, version.segment_length)
        return TextRetrieval.of(texts, *columns, lexicon=lexicon, encoder=encoder)

    def search(self, text: str, sentence: Floats | None, k: int) -> list[TextHits]:
        """Return the lists of a query, `k` hits each at most; sentence: (dim,), None for words alone."""
        found = []
        for name in LISTS:
            channel = self.channels.get(name.channel)
            hits = channel.search(text, sentence, name.method, k) if channel else None
            if hits is not None:
                found.append(TextHits(name, hits))
        return found


def _segments(
    texts: Sequence[Texts], channel: str, counts: Ordinals, length: float
) -> dict[tuple[int, int], str]:
    """Return the text of every segment that has one by video and segment, in that order."""
    return {
        (video, segment): text
        for video, (own, count) in enumerate(zip(texts, counts.tolist(), strict=True))
        for segment, text in segment_texts(own, channel, count * length, length).items()
    }
