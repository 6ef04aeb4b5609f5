"""From a sentence's token states to the vectors that meet clips, with an LRU cache."""

import hashlib
import threading
from collections.abc import Sequence

import numpy as np
import torch
from cachetools import LRUCache

from engine.types import Floats
from workers.ranker.model.relo import Relo
from workers.ranker.model.windows import token_batch
from workers.ranker.scoring.evidence import QueryVectors

REMEMBERED = 1024


class QueryBranch:
    """The query side of a ranker. Usable from several threads.

    The same token states give the same vectors, so repeated queries cost a hash. remembered: size of the LRU
    cache in sentences, at least 1.
    """

    def __init__(self, model: Relo, device: torch.device, remembered: int = REMEMBERED) -> None:
        self._model, self._device = model, device
        self._known: LRUCache[bytes, QueryVectors] = LRUCache(remembered)
        self._lock = threading.Lock()

    def vectors(self, tokens: Sequence[Floats]) -> QueryVectors:
        """Encode sentences (t_i, width); InvalidInput for one without tokens."""
        keys = [_key(sentence) for sentence in tokens]
        with self._lock:
            known = {key: self._known[key] for key in keys if key in self._known}
        missing = {key: sentence for key, sentence in zip(keys, tokens, strict=True) if key not in known}
        if missing:
            known |= dict(zip(missing, self._encode(list(missing.values())), strict=True))
        with self._lock:
            for key in keys:
                self._known[key] = known[key]
        return QueryVectors.stack([known[key] for key in keys])

    def _encode(self, tokens: Sequence[Floats]) -> list[QueryVectors]:
        batch = token_batch(tokens, self._model.config.window)
        with torch.inference_mode():
            states, mask = (torch.from_numpy(array).to(self._device) for array in batch)
            made = self._model.vectors(self._model.encode_query(states, mask))
        arrays = [np.ascontiguousarray(tensor.float().cpu().numpy()) for tensor in made]
        return [QueryVectors(*(array[i : i + 1] for array in arrays)) for i in range(len(tokens))]


def _key(tokens: Floats) -> bytes:
    # Of the hashes at hand the fastest on fifty kilobytes: processors know it.
    digest = hashlib.sha256(tokens.tobytes())
    digest.update(repr(tokens.shape).encode())
    return digest.digest()
