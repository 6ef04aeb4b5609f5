"""From a sentence's token states to the vectors that meet clips, with an LRU cache."""

import hashlib
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future

import numpy as np
import torch
from cachetools import LRUCache

from engine.types import Floats
from workers.ranker.model.relo import Relo
from workers.ranker.model.side_by_side import Alone
from workers.ranker.model.windows import token_batch
from workers.ranker.scoring.evidence import QueryVectors

REMEMBERED = 1024


class QueryBranch:
    """The query side of a ranker. Usable from several threads.

    The same token states give the same vectors, so repeated queries cost a hash, and calls for one sentence
    at the same time share one computation. remembered: size of the LRU
    cache in sentences, at least 1.
    """

    def __init__(self, model: Relo, device: torch.device, remembered: int = REMEMBERED) -> None:
        self._model, self._device = model, device
        self._known: LRUCache[bytes, QueryVectors] = LRUCache(remembered)
        self._flights: dict[bytes, Future[dict[bytes, QueryVectors]]] = {}
        self._lock = threading.Lock()
        self._alone = Alone()

    def vectors(self, tokens: Sequence[Floats]) -> QueryVectors:
        """Encode sentences (t_i, width); InvalidInput for one without tokens."""
        keys = [_key(sentence) for sentence in tokens]
        asked = dict(zip(keys, tokens, strict=True))
        with self._lock:
            known = {key: self._known[key] for key in asked if key in self._known}
            others = {key: self._flights[key] for key in asked if key in self._flights}
            own = {key: asked[key] for key in asked if key not in known and key not in others}
            self._flights |= dict.fromkeys(own, flight := Future[dict[bytes, QueryVectors]]())
        if own:
            known |= self._fly(own, flight)
        # After their own sentences: two calls that wait for each other end.
        known |= {key: other.result()[key] for key, other in others.items()}
        return QueryVectors.stack([known[key] for key in keys])

    def _fly(
        self, tokens: Mapping[bytes, Floats], flight: "Future[dict[bytes, QueryVectors]]"
    ) -> dict[bytes, QueryVectors]:
        """Encode sentences for all who wait for them; an error is raised in each."""
        try:
            alone = len(tokens) == 1 and self._device.type == "cpu"
            given = list(tokens.values())
            found = self._alone(self._encode, given) if alone else self._encode(given)
            made = dict(zip(tokens, found, strict=True))
            with self._lock:
                self._known.update(made)
            flight.set_result(made)
            return made
        except BaseException as error:
            flight.set_exception(error)
            raise
        finally:
            with self._lock:
                for key in tokens:
                    del self._flights[key]

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
