"""The texts of a video's segments: what is indexed of its lines."""

import math
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from engine.errors import Mismatch
from trainer.ingest.texts import Texts
from trainer.ingest.texts import read as read_texts
from workers.feature_store.store import FeatureStore
from workers.ranker.sentences.centre import Centre, Centred
from workers.ranker.sentences.encoder import SentenceEncoder

# Texts that tell what vectors of all have in common, and what cosine two usually have: more tell the same.
_SAMPLE = 128


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


def centred(encoder: SentenceEncoder, documents: Sequence[str]) -> tuple[Centred, float]:
    """Return an encoder less what vectors of these texts have in common, and their usual cosine.

    That is the mean one of a text, asked, and another; 0 for a single one. Some texts stand for all.
    """
    distinct = list(dict.fromkeys(documents))
    some = distinct[:: max(1, -(-len(distinct) // _SAMPLE))]
    told, asked = encoder.passages(some), encoder.queries(some)
    centre = Centre.of(told, asked)
    cosines = centre.less(asked, centre.asked) @ centre.less(told, centre.told).T
    others = cosines[~np.eye(len(some), dtype=bool)]
    return Centred(encoder, centre), round(float(others.mean()), 6) if len(others) else 0.0
