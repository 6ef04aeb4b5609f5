"""Spoken sentences and the texts that ask for them: what the text tower learns from text alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from trainer.collection.annotations import JudgedQuery
from trainer.encoder.events import CaptionedEvent
from trainer.encoder.texts import fit, tokenise


@dataclass(frozen=True)
class SpokenPairs:
    """n pairs of a text that asks (rows 0..n-1) and a sentence that answers (rows n..2n-1).

    ids and mask (2n, length); weights (n, n): how well each sentence answers each text.
    """

    ids: torch.Tensor
    mask: torch.Tensor
    weights: torch.Tensor

    def __len__(self) -> int:
        return len(self.weights)

    def inputs(self, rows: NDArray[np.int64]) -> dict[str, torch.Tensor]:
        """Return the model's inputs for the texts of some pairs followed by their sentences."""
        both = np.concatenate([rows, rows + len(self)])
        length = int(self.mask[both].sum(1).max())
        return {"input_ids": self.ids[both, :length], "attention_mask": self.mask[both, :length]}


def speech_pairs(
    events: Sequence[CaptionedEvent], queries: Sequence[JudgedQuery], tokenizer: Any
) -> SpokenPairs | None:
    """Pair each spoken sentence with the report of it and with the queries about it; None without any."""
    place = {(event.video, round(event.start, 3)): event for event in events}
    pairs = [(event.spoken, event) for event in events if event.spoken and event.subtitle]
    for query in queries:
        best = max(query.moments, key=lambda moment: moment.similarity, default=None)
        told = place.get((best.video, round(best.start, 3))) if best else None
        if query.asks_speech and told and told.subtitle:
            pairs.append((query.query, told))
    if len(pairs) < 2:
        return None
    told_of = [event for _, event in pairs]
    facts = [event.facts or {"subtitle": event.subtitle or ""} for event in told_of]
    ids, mask = tokenise(tokenizer, [*(text for text, _ in pairs), *(e.subtitle or "" for e in told_of)])
    weights = np.stack([fit(asked, facts, whole=True) for asked in facts])
    return SpokenPairs(ids, mask, torch.from_numpy(weights))
