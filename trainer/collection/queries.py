"""Features of annotated query texts, each text encoded once: COLLECTION/queries/<encoder fingerprint>/."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import Mismatch
from trainer.progress import Progress
from workers.feature_store.store import FeatureStore, Stream
from workers.ranker.encoder.encoder import Encoder
from workers.ranker.encoder.files import explain
from workers.ranker.encoder.known_queries import POOLED, TOKENS, KnownQueries, is_known_queries, text_key

__all__ = ["POOLED", "TOKENS", "QueryFeatures", "encode_queries", "text_key"]

TEXTS_AT_ONCE = 256


class QueryFeatures:
    """Reads the features of texts that `encode_queries` has put in."""

    def __init__(self, path: Path, sought: "QueryFeatures | None" = None) -> None:
        """sought: has the pooled features, where another encoder's are compared with segments."""
        self._store = FeatureStore.open(path)
        self._sought = sought._store if sought is not None else self._store

    def sought_by(self, other: "QueryFeatures") -> "QueryFeatures":
        """Return these with the pooled features of another encoder."""
        return QueryFeatures(self._store.path, other)

    def pooled(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return (n, dim) pooled text features, un-normalised; NotFound for a text that is not encoded."""
        rows = [self._sought.rows(text_key(text), POOLED) for text in texts]
        return np.concatenate(rows).astype(np.float32, copy=False)

    def tokens(self, text: str) -> NDArray[np.float32]:
        """Return (tokens, width) token states of a text."""
        return np.asarray(self._store.rows(text_key(text), TOKENS), np.float32)


def encode_queries(
    collection: Path,
    fingerprint: str,
    source: str,
    texts: Sequence[str],
    device: str = "auto",
    *,
    clips: bool = False,
) -> QueryFeatures:
    """Return features of `texts`, encoding those that the collection does not hold yet.

    source: name or directory of the encoder whose fingerprint this is; Mismatch when it has become another.
    clips: it may be a clip encoder.
    Features that were imported have none, and NotFound names the text that did not come with them.
    """
    path = collection / "queries" / fingerprint
    missing = _missing(path, texts)
    if missing:
        if is_known_queries(collection / source):
            KnownQueries(collection / source).text(missing)
        encoder = Encoder.load(source, device, clips=clips)
        if encoder.fingerprint != fingerprint:
            why = explain(Path(source), fingerprint) if Path(source).is_dir() else ""
            now = f"{encoder.fingerprint}{why}"
            raise Mismatch(
                f"The features were made by encoder {fingerprint}, {source} is now {now}; "
                "ingest again with it, or bring the old encoder back."
            )
        _encode(path, encoder, missing)
    return QueryFeatures(path)


def _missing(path: Path, texts: Sequence[str]) -> list[str]:
    """Return the texts that are not in the store, each once, in order."""
    known: Any = FeatureStore.open(path) if (path / "store.json").is_file() else ()
    return [text for text in dict.fromkeys(texts) if text_key(text) not in known]


def _encode(path: Path, encoder: Encoder, texts: Sequence[str]) -> None:
    """Encode texts and append them."""
    streams = {POOLED: Stream(encoder.dim, 1.0), TOKENS: Stream(encoder.token_width, 1.0)}
    meta = {"encoder": encoder.name, "fingerprint": encoder.fingerprint}
    with (
        FeatureStore.ensure(path, streams, "float32", meta) as store,
        Progress("queries", len(texts), unit="texts") as progress,
    ):
        for first in range(0, len(texts), TEXTS_AT_ONCE):
            batch = texts[first : first + TEXTS_AT_ONCE]
            features = encoder.text(batch)
            for text, pooled, tokens in zip(batch, features.pooled, features.tokens, strict=True):
                store.append(text_key(text), {POOLED: pooled[None], TOKENS: tokens}, info={"text": text})
            progress.update(first + len(batch))
