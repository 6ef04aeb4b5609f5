"""The trained ranker as serving and evaluation use it: proposals in, refined and scored moments out."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from engine.types import Doubles, Floats, Ordinals
from workers.ranker import checkpoint
from workers.ranker.context import ContextStore
from workers.ranker.decode import DecodeConfig, RankedColumns, Spans, best_spans, in_seconds, ranked
from workers.ranker.relo import Query, Relo, ReloConfig
from workers.ranker.windows import Windows, cut, gather, token_batch

KIND = "ranker"
# Clips encoded at a time: bounds memory whatever the number of proposals.
MOST_CLIPS = 32768


@dataclass(frozen=True, slots=True)
class RankerConfig:
    """What a ranker's checkpoint says: the model, and how its outputs become spans and scores."""

    model: ReloConfig = field(default_factory=ReloConfig)
    decode: DecodeConfig = field(default_factory=DecodeConfig)


class ReloRanker:
    """Refines and scores the proposals of one query at a time. Not for use by several threads at once."""

    def __init__(
        self, model: Relo, decode: DecodeConfig, device: str | torch.device = "cpu", name: str = "relo"
    ) -> None:
        self.device = torch.device(device)
        self.model = model.to(self.device).eval()
        self.decode = decode
        self.name = name

    @staticmethod
    def open(directory: Path, device: str | torch.device = "cpu") -> "ReloRanker":
        """Load a checkpoint directory; NotFound, InvalidInput or Mismatch when it is no sound ranker."""
        config = checkpoint.load_config(directory, KIND, RankerConfig)
        model = Relo(config.model)
        model.load_state_dict(checkpoint.load_state(directory, device))
        return ReloRanker(model, config.decode, device, f"relo@{checkpoint.read_card(directory).fingerprint}")

    def rank(
        self,
        query_tokens: Floats,
        contexts: ContextStore,
        videos: Ordinals,
        spans: Doubles,
        coarse_scores: Floats,
    ) -> RankedColumns:
        """Rank the proposals of one query.

        query_tokens: (t, width) token states. videos: (n,) ordinals of `contexts`. spans: (n, 2) seconds.
        coarse_scores: (n,) retrieval scores. The answer has the proposals' order.
        """
        window = self.model.config.window
        tokens, mask = token_batch([query_tokens], window)
        windows = cut(videos, spans, contexts, window)
        n = len(windows)
        best = Spans(np.zeros(n, np.int64), np.zeros(n, np.int64), np.full(n, -np.inf))
        relevances = np.full(n, -1.0, np.float32)
        with torch.inference_mode():
            query = self.model.encode_query(self._tensor(tokens), self._tensor(mask))
            for rows in batches(windows.lengths):
                part = windows.take(rows)
                starts, ends, relevances[rows] = self._judge(query, part, contexts)
                found = best_spans(starts, ends, part.lengths, self.decode)
                best.start[rows], best.end[rows] = found.start, found.end
                best.log_probability[rows] = found.log_probability
        refined = in_seconds(best, windows, contexts.durations[videos])
        return ranked(refined, best.log_probability, relevances, spans, coarse_scores, self.decode)

    def _judge(self, query: Query, windows: Windows, contexts: ContextStore) -> tuple[Floats, Floats, Floats]:
        clips = gather(windows, contexts, self.model.config.window)
        columns = (clips.video, clips.subtitles, clips.mask)
        context = self.model.encode_context(*(self._tensor(column) for column in columns))
        starts, ends = self.model.boundaries(query, context)
        relevance = self.model.relevance(query, context)[0]
        return self._array(starts), self._array(ends), self._array(relevance)

    def _tensor(self, array: Floats) -> torch.Tensor:
        return torch.from_numpy(array).to(self.device)

    @staticmethod
    def _array(tensor: torch.Tensor) -> Floats:
        array: Floats = tensor.float().cpu().numpy()
        return array


def batches(lengths: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Split windows into batches of similar length, so that little is padding; empty windows are left out."""
    order = np.argsort(lengths, kind="stable")
    order = order[lengths[order] > 0]
    if not len(order):
        return []
    # A quarter longer than the shortest of a batch starts the next one.
    steps = np.floor(np.log(lengths[order]) / np.log(1.25)).astype(np.int64)
    groups = np.split(order, np.flatnonzero(np.diff(steps)) + 1)
    return [
        part
        for group in groups
        for part in np.array_split(group, max(1, -(-int(lengths[group].sum()) // MOST_CLIPS)))
    ]
