"""How similar a sentence is to every second of one video: what a person looks at, no ranker reads."""

import numpy as np
from numpy.typing import NDArray

from engine.explanations import Compared
from engine.types import Floats
from workers.ranker.stores.features import FRAMES, SUBTITLES, FeatureMaps

MOST = 20_000  # values of a curve: five hours of seconds


def compare(text_embedding: Floats, features: FeatureMaps, video: int) -> Compared:
    """Return the cosines of a text (dim,) and the rows of a video, of frames and of subtitles.

    A stream that is not as wide as the text's embedding has none. Of more than MOST rows each value is the
    largest of several.
    """
    step = features.step(FRAMES)
    count = int(features.counts(FRAMES)[video])
    pooled = max(1, -(-count // MOST))
    frames, subtitles = (
        _cosines(text_embedding, features, name, video, pooled) for name in (FRAMES, SUBTITLES)
    )
    return Compared(step * pooled, frames, subtitles)


def _cosines(text: Floats, features: FeatureMaps, name: str, video: int, pooled: int) -> Floats:
    stream = features.streams.get(name)
    if stream is None or stream.dim != len(text) or stream.step != features.step(FRAMES):
        return np.zeros(0, np.float32)
    query = text / max(float(np.linalg.norm(text)), 1e-12)
    rows: NDArray[np.floating] = features.video(video, name)
    parts = [_cosine(rows[begin : begin + MOST], query) for begin in range(0, len(rows), MOST)]
    values = np.concatenate([np.zeros(0, np.float32), *parts])
    if pooled == 1:
        return values
    pools: Floats = np.maximum.reduceat(values, np.arange(0, len(values), pooled))
    return pools


def _cosine(rows: NDArray[np.floating], query: Floats) -> Floats:
    part = rows.astype(np.float32)
    lengths = np.linalg.norm(part, axis=1)
    cosines: Floats = np.divide(part @ query, lengths, out=np.zeros(len(part), np.float32), where=lengths > 0)
    return cosines
