"""The texts of a version's parts: word statistics and the sentence index once, and what each part gets."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine.entries import EncoderEntry, TextsEntry
from engine.part_texts import write_lines
from engine.texts import TEXTS
from engine.types import Floats, Ordinals
from trainer.collection.texts import centred, segment_texts
from trainer.generation.check import LARGEST_FACTOR, ExactAnswers, sample_queries
from trainer.generation.texts_kit import TextsKit
from trainer.ingest.texts import Texts
from workers.index.effort import Effort, least
from workers.index.factory import AUTO_RECALL, FLAT_VALUES, recipe
from workers.index.files import write_effort
from workers.index.lexicon import Lexicon
from workers.index.part import IndexPart
from workers.index.text_part import TextPart
from workers.index.training import train
from workers.index.vectors import Vectors
from workers.ranker.sentences.encoder import SentenceEncoder

# Texts that are encoded at once: equal ones among them count once.
_BLOCK = 4096


@dataclass(frozen=True)
class Rows:
    """The segments of some videos, by number, that have text in one channel: (n,) each."""

    videos: Ordinals
    segments: Ordinals
    documents: list[str]

    @staticmethod
    def of(texts: Iterable[Texts], channel: str, counts: Ordinals, segment_length: float) -> "Rows":
        """Return those of videos with so many segments each, in (video, segment) order."""
        videos: list[int] = []
        segments: list[int] = []
        documents: list[str] = []
        for number, (one, count) in enumerate(zip(texts, counts.tolist(), strict=True)):
            found = segment_texts(one, channel, count * segment_length, segment_length)
            videos += [number] * len(found)
            segments += found.keys()
            documents += found.values()
        return Rows(np.array(videos, np.int32), np.array(segments, np.int32), documents)

    def __len__(self) -> int:
        return len(self.documents)


# The unit vectors of a channel's rows: blocks (m, dim).
Embed = Callable[[str, Rows], Iterator[Floats]]


def make_texts(
    texts: Sequence[Texts],
    counts: Ordinals,
    segment_length: float,
    shards: int,
    sentences: tuple[EncoderEntry, SentenceEncoder] | None,
) -> TextsKit | None:
    """Count the words of all texts, centre their vectors, train the index of those; None for no text.

    counts: segments of each video. sentences: what encodes texts, None for nothing.
    """
    rows = {channel: Rows.of(texts, channel, counts, segment_length) for channel in TEXTS}
    if not any(rows.values()):
        return None
    lexicon = Lexicon.of({channel: found.documents for channel, found in rows.items()})
    if sentences is None:
        return TextsKit(TextsEntry(lexicon.sha256), lexicon)
    documents = [document for found in rows.values() for document in found.documents]
    encoder, usual = centred(sentences[1], documents)
    made = recipe("auto", encoder.dim, max(map(len, rows.values())), shards)
    size = min(made.sample, len(documents))
    chosen = np.sort(np.random.default_rng(0).choice(len(documents), size, replace=False))
    sample = [*encoded(encoder, [documents[row] for row in chosen]), np.zeros((0, encoder.dim), np.float32)]
    template = train(made, encoder.dim, np.concatenate(sample))
    entry = TextsEntry(
        lexicon.sha256,
        sentences[0],
        encoder.dim,
        made.label,
        template.sha256,
        usual_cosine=usual,
        centre_sha256=encoder.centre.sha256,
    )
    return TextsKit(entry, lexicon, template, encoder)


def encoded(encoder: SentenceEncoder, documents: Sequence[str]) -> Iterator[Floats]:
    """Yield the unit vectors of texts, in blocks (m, dim)."""
    for start in range(0, len(documents), _BLOCK):
        block = documents[start : start + _BLOCK]
        places = {document: place for place, document in enumerate(dict.fromkeys(block))}
        yield encoder.passages(list(places))[[places[document] for document in block]]


def write_texts(
    building: Path,
    kit: TextsKit,
    texts: Sequence[Texts],
    counts: Ordinals,
    segment_length: float,
    embed: Embed | None = None,
) -> None:
    """Write the lines and indexes of a part's videos, by number, into it; nothing where they have no text.

    counts: segments of each video. embed: gives rows their vectors, None for the kit's encoder.
    """
    if any(one.said or one.written for one in texts):
        write_lines(building, ([one.of(channel) for channel in TEXTS] for one in texts))
    for channel in TEXTS:
        rows = Rows.of(texts, channel, counts, segment_length)
        if not len(rows):
            continue
        template, blocks = kit.template, iter(list[Floats]())
        if template is not None:
            # Exact while that is as fast.
            template = template if len(rows) * kit.entry.dim > FLAT_VALUES else template.small()
            blocks = embed(channel, rows) if embed is not None else _encoded(kit, rows)
        tables = rows.videos, rows.segments
        part = TextPart.build(rows.documents, *tables, kit.lexicon.channel(channel), template, blocks)
        part.save(building / channel, kit.entry)
        if part.vectors is not None and part.vectors.effort != Effort():
            _tune(building / channel)


def _encoded(kit: TextsKit, rows: Rows) -> Iterator[Floats]:
    if kit.encoder is None:
        raise ValueError("texts are to be encoded without an encoder")
    return encoded(kit.encoder, rows.documents)


def _tune(folder: Path) -> None:
    """Set the least effort by which a written sentence index finds what an index of pictures is asked to."""
    opened = IndexPart.open(folder, "cpu")
    numbers = np.arange(len(opened), dtype=np.int32)
    # All rows as the segments of one video, as the answers are counted.
    part = IndexPart(opened.index, np.zeros_like(numbers), numbers, "cpu", opened.effort)
    vectors = Vectors(opened)
    queries = sample_queries(np.zeros((0, opened.dim), np.float32), vectors)
    truth = ExactAnswers(vectors, queries, [np.zeros(1, np.int64)])
    most = Effort(LARGEST_FACTOR if opened.effort.factor else 0, opened.partitions)
    effort, _ = least(lambda tried: truth.recalls([part], tried), opened.effort, most, AUTO_RECALL)
    write_effort(effort, folder)
