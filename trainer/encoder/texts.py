"""The texts an encoder learns from, and how well each fits each event.

Captions of the same thing must not be each other's negatives, and a caption of a nearly equal thing should be
a weak positive: every text has a weight 0..1 for every event, from the attributes they share.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from trainer.collection.annotations import JudgedQuery
from trainer.encoder.events import CaptionedEvent

# How much of what was asked must be there: a share of attributes, raised to this power, is the weight.
SHARPNESS = 4.0
# How often a frame is paired with each kind of text.
KINDS = {"still": 0.4, "caption": 0.25, "words": 0.2, "query": 0.15}
_WORDS_PER_EVENT = 4


@dataclass(frozen=True)
class WeightedTexts:
    """n tokenised texts: ids and mask (n, length); weights (events, n); rows[kind][event] are their indices.

    captions (n,) is the event a text is the whole caption of, or -1.
    """

    ids: torch.Tensor
    mask: torch.Tensor
    weights: torch.Tensor
    captions: torch.Tensor
    rows: Mapping[str, Sequence[NDArray[np.int64]]]

    def draw(self, events: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """Return one text for each event, of a random kind; its still where it has none of the kind."""
        kinds = rng.choice(list(KINDS), size=len(events), p=list(KINDS.values()))
        drawn = []
        for event, kind in zip(events, kinds, strict=True):
            rows = self.rows[str(kind)][event]
            drawn.append(rng.choice(rows if len(rows) else self.rows["still"][event]))
        return np.array(drawn, np.int64)

    def inputs(self, rows: NDArray[np.int64]) -> dict[str, torch.Tensor]:
        """Return the model's inputs for some texts, no longer than the longest of them."""
        mask = self.mask[rows]
        length = int(mask.sum(1).max())
        return {"input_ids": self.ids[rows, :length], "attention_mask": mask[:, :length]}


def visual_texts(
    events: Sequence[CaptionedEvent], queries: Sequence[JudgedQuery], tokenizer: Any, rng: np.random.Generator
) -> WeightedTexts:
    """Gather everything that says what frames of `events` show."""
    texts: list[str] = []
    weights: list[NDArray[np.float32]] = []
    rows: dict[str, list[list[int]]] = {kind: [[] for _ in events] for kind in KINDS}

    def add(kind: str, owners: Sequence[int], text: str, weight: NDArray[np.float32]) -> None:
        for owner in owners:
            rows[kind][owner].append(len(texts))
        texts.append(text)
        weights.append(weight)

    shown = [event.seen for event in events]
    for row, event in enumerate(events):
        weight = fit(shown[row], shown, whole=True)
        add("still", [row], event.still, weight)
        add("caption", [row], event.caption, weight)
        for asked in _parts(shown[row], rng):
            add("words", [row], " ".join(asked.values()), fit(asked, shown, whole=False))
    for text, weight in _visual_queries(events, queries):
        add("query", np.flatnonzero(weight > 0.5 * weight.max()).tolist(), text, weight)
    ids, mask = tokenise(tokenizer, texts)
    lists = {kind: [np.array(own, np.int64) for own in owned] for kind, owned in rows.items()}
    captions = torch.full((len(texts),), -1)
    for row, own in enumerate(lists["caption"]):
        captions[own] = row
    return WeightedTexts(ids, mask, torch.from_numpy(np.stack(weights, 1)), captions, lists)


def fit(asked: Mapping[str, str], shown: Sequence[Mapping[str, str]], *, whole: bool) -> NDArray[np.float32]:
    """Return the weight (events,) of what is asked; `whole`: what is there unasked counts against an event.

    >>> fit({"colour": "red"}, [{"colour": "red", "shape": "box"}, {"colour": "blue"}], whole=False).tolist()
    [1.0, 0.0]
    """
    shares = []
    for there in shown:
        keys = asked.keys() | there.keys() if whole else asked.keys()
        same = sum(asked.get(key) == there.get(key) for key in keys)
        shares.append(same / len(keys) if keys else 1.0)
    return np.array(shares, np.float32) ** np.float32(SHARPNESS)


def tokenise(tokenizer: Any, texts: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return ids and mask (n, length)."""
    batch = tokenizer(list(texts), padding=True, truncation=True, return_tensors="pt")
    return batch["input_ids"], batch["attention_mask"]


def _parts(shown: Mapping[str, str], rng: np.random.Generator) -> list[dict[str, str]]:
    """Choose one or two of the attributes that are words, a few times: what imprecise questions ask for."""
    keys = [key for key, value in shown.items() if value.isalpha()]
    parts = []
    for count in range(_WORDS_PER_EVENT if keys else 0):
        chosen = sorted(rng.choice(len(keys), min(1 + count % 2, len(keys)), replace=False).tolist())
        parts.append({keys[place]: shown[keys[place]] for place in chosen})
    return parts


def _visual_queries(
    events: Sequence[CaptionedEvent], queries: Sequence[JudgedQuery]
) -> list[tuple[str, NDArray[np.float32]]]:
    """Return queries about what is seen, with the weights their annotated similarities give the events."""
    place = {(event.video, round(event.start, 3)): row for row, event in enumerate(events)}
    found = []
    for query in queries:
        weight = np.zeros(len(events), np.float32)
        for moment in query.moments:
            row = place.get((moment.video, round(moment.start, 3)))
            if row is not None:
                # Similarity goes with the square of what is shared.
                weight[row] = max(moment.similarity, 0.0) ** (SHARPNESS / 2)
        if not query.asks_text and weight.max(initial=0.0) > 0:
            found.append((query.query, weight))
    return found
