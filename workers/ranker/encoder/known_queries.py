"""Sentences whose features are on disk, in place of the encoder that made them.

A feature store keyed by the text's hash, with streams "pooled" (one row) and "tokens" (one row a token). The
trainer fills one for every collection; a collection whose features were imported has nothing else, and is
searched with the sentences that came with it.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.errors import NotFound
from workers.feature_store.store import FeatureStore
from workers.ranker.encoder.encoder import TextFeatures

POOLED, TOKENS = "pooled", "tokens"


def text_key(text: str) -> str:
    """Return a text's id in the store."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def is_known_queries(directory: Path) -> bool:
    """Whether a directory is such a store, and not an encoder's."""
    return (directory / "store.json").is_file()


class KnownQueries:
    """Answers as an Encoder does, for the sentences it holds."""

    def __init__(self, directory: Path) -> None:
        self._store = FeatureStore.open(directory)
        self.name = str(self._store.meta.get("encoder", directory.name))
        self.fingerprint = str(self._store.meta.get("fingerprint", directory.name))
        self.dim = self._store.streams[POOLED].dim
        self.token_width = self._store.streams[TOKENS].dim

    def __contains__(self, text: object) -> bool:
        return isinstance(text, str) and text_key(text) in self._store

    @property
    def example(self) -> str:
        """A sentence that is known; NotFound where there is none."""
        ids = self._store.ids()
        if not ids:
            raise NotFound(f"{self._store.path} holds no query; import some")
        return str(self._store.record(ids[0]).info["text"])

    def text(self, texts: Sequence[str]) -> TextFeatures:
        """Return what was stored of every sentence; NotFound for one that is not there."""
        for text in texts:
            if text not in self:
                raise NotFound(
                    f"The features of {text[:80]!r} are not among the {len(self._store)} queries in "
                    f"{self._store.path}, and the encoder that made them is not known; ask one of those, "
                    "send an embedding, or import the features with --encoder.",
                    reason="QUERY_UNKNOWN",
                )
        keys = [text_key(text) for text in texts]
        pooled: list[NDArray[np.float32]] = [self._store.rows(key, POOLED) for key in keys]
        tokens = [np.array(self._store.rows(key, TOKENS), np.float32) for key in keys]
        width = np.zeros((0, self.dim), np.float32)
        return TextFeatures(
            np.concatenate([width, *pooled]).astype(np.float32, copy=False), tokens, [False] * len(texts)
        )
