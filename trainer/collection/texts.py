"""The texts of a video's segments: what is indexed of its lines."""

import math
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from engine.errors import Mismatch
from trainer.ingest.texts import Texts
from trainer.ingest.texts import read as read_texts
from workers.feature_store.store import FeatureStore
from workers.ranker.sentences.encoder import SentenceEncoder

# Texts that tell what cosine two of them usually have.
_USUAL = 128


def segment_texts(texts: Texts, channel: str, duration: float, segment_length: float) -> dict[int, str]:
    """Return the text of each segment, by its number, that has one in a channel of `engine.texts.TEXTS`.

    It is the lines that are there for some time of the segment, in their order, one a line. duration,
    segment_length: seconds; lines beyond the duration are of no segment.
    """
    count = math.ceil(duration / segment_length - 1e-6)
    found: dict[int, list[str]] = defaultdict(list)
    for line in texts.of(channel):
        first = max(0, math.floor(line.start / segment_length))
        last = math.ceil(line.end / segment_length) - 1
        # A line without a length is of the segment that it lies in.
        for number in range(first, min(max(first, last), count - 1) + 1):
            found[number].append(line.text)
    return {number: "\n".join(found[number]) for number in sorted(found)}


def texts_of(store: FeatureStore, ids: Sequence[str]) -> list[Texts]:
    """Return what is said and written in videos of a collection's store; nothing where a file is lost."""
    found = []
    for video in ids:
        try:
            found.append(read_texts(store.path.parents[1], store.record(video).info))
        except (FileNotFoundError, Mismatch):
            found.append(Texts())
    return found


def usual_cosine(encoder: SentenceEncoder, documents: Sequence[str]) -> float:
    """Return the mean cosine of one text, asked, and another, over some of them; 0 for a single one."""
    distinct = list(dict.fromkeys(documents))
    some = distinct[:: max(1, -(-len(distinct) // _USUAL))]
    if len(some) < 2:
        return 0.0
    cosines = encoder.queries(some) @ encoder.passages(some).T
    return round(float(cosines[~np.eye(len(some), dtype=bool)].mean()), 6)
