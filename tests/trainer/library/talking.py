"""Small collections whose videos say and show texts, and what one index over all of them finds."""

from collections.abc import Mapping
from pathlib import Path

import faiss
import numpy as np

from engine.corpus import Corpus, open_corpus
from engine.merge import top_k
from engine.texts import LISTS, TEXTS, WORDS, Line, ListName, TextsSought
from engine.types import Floats, Hits, Ordinals
from spr.internal.v1.index_shard_service_pb2 import Allowed
from tests.trainer.library import living
from trainer.collection.texts import segment_texts
from trainer.ingest.texts import KEY, Texts, write
from workers.index.lexicon import Lexicon
from workers.index.part import IndexPart
from workers.index.shard import ShardOpener
from workers.index.training import Template
from workers.index.words import WordIndex
from workers.ranker.sentences.encoder import SentenceEncoder

_WORDS = (
    "the a red blue ball dog cat runs jumps over under house river tree plate RE16XK nine 42 opens".split()
)
QUERIES = ("a red ball", "re16", "the dog jumps over the river", "unheard", "the")
# Found: (video, segment) and score, of each list.
Answer = dict[ListName, list[tuple[str, int, float]]]


def texts_of(seed: int, seconds: int) -> Texts:
    """Return what a video says and shows, some the same for several seeds; nothing for every third."""
    if seed % 3 == 0:
        return Texts()
    rng = np.random.default_rng(seed % 7)

    def lines(count: int, box: tuple[float, float, float, float] | None) -> tuple[Line, ...]:
        starts = np.sort(rng.uniform(0, seconds, count)).round(3).tolist()
        return tuple(
            Line(start, round(start + float(rng.uniform(0.5, 6)), 3), " ".join(rng.choice(_WORDS, 5)), box)
            for start in starts
        )

    return Texts(lines(seconds // 4 + 1, None), lines(seed % 2 * 3, (0.1, 0.2, 0.5, 0.25)))


def ingested(collection: Path, videos: Mapping[str, living.Content]) -> None:
    """Put videos, and what is said and written in them, into the collection."""
    with living.store(collection) as features:
        for video, content in videos.items():
            info = {KEY: write(collection, texts_of(*content))}
            arrays = living.arrays(content)
            features.append(video, arrays, f"file:///{video}.mp4", f"{content}", content[1] - 0.5, info)


def answers(
    path: Path,
    text: str,
    k: int,
    allowed: Mapping[str, Allowed] | None = None,
    sentence: Floats | None = None,
) -> Answer:
    """Return what the shards of the current version find together."""
    corpus = open_corpus(path)
    found: dict[ListName, list[Hits]] = {}
    for shard in corpus.version.shards:
        opened = ShardOpener(shard.name, "cpu")(corpus)
        of_shard = None if allowed is None else allowed[shard.name]
        for one in opened.search_texts(TextsSought(TEXTS, text, sentence), k, of_shard):
            found.setdefault(one.name, []).append(one.hits)
    return {name: told(corpus, top_k(found[name], k)) for name in LISTS if name in found}


def expected(
    path: Path,
    videos: Mapping[str, living.Content],
    text: str,
    k: int,
    encoder: SentenceEncoder | None = None,
    allowed: np.ndarray[tuple[int], np.dtype[np.bool_]] | None = None,
) -> Answer:
    """Return what one index over all texts of `videos` finds, scored by the version's lexicon.

    allowed: (videos,) by ordinal, those that may be found.
    """
    corpus = open_corpus(path)
    assert corpus.version.texts is not None
    assert corpus.catalogue.ids == sorted(videos)
    lexicon = Lexicon.read(path, corpus.version.texts.lexicon_sha256)
    found: Answer = {}
    for name in LISTS:
        ordinals, segments, documents = _rows(videos, name.channel)
        mask = None if allowed is None else allowed[ordinals]
        if name.method == WORDS:
            index = WordIndex.build(documents, lexicon.channel(name.channel))
            rows, scores = index.search(text, k, mask)
        elif encoder is None:
            continue
        else:
            template = Template(faiss.IndexFlatIP(encoder.dim))
            flat = IndexPart.build(template, [encoder.passages(documents)], ordinals, segments)
            (hits,) = flat.search(encoder.queries([text]), k)
            found[name] = told(corpus, hits)
            continue
        found[name] = told(corpus, Hits(ordinals[rows], segments[rows], scores))
    return found


def told(corpus: Corpus, hits: Hits) -> list[tuple[str, int, float]]:
    columns = zip(hits.videos.tolist(), hits.segments.tolist(), hits.scores.tolist(), strict=True)
    return [(corpus.catalogue.ids[video], segment, score) for video, segment, score in columns]


def _rows(videos: Mapping[str, living.Content], channel: str) -> tuple[Ordinals, Ordinals, list[str]]:
    found = [
        (ordinal, segment, text)
        for ordinal, video in enumerate(sorted(videos))
        for segment, text in segment_texts(
            texts_of(*videos[video]), channel, 4.0 * -(-videos[video][1] // 4), 4.0
        ).items()
    ]
    ordinals, segments, documents = zip(*found, strict=True)
    return np.array(ordinals, np.int32), np.array(segments, np.int32), list(documents)
