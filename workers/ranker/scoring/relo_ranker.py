"""The trained ranker, for serving, evaluation and validation.

It scores windows of videos with stored contexts against those, and encodes all others on the spot.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import normalize

from engine.errors import Mismatch
from engine.types import Doubles, Floats, Ordinals, Ranked, RankQuery
from workers.ranker.model.local import make_model
from workers.ranker.model.relo import Relo, ReloConfig
from workers.ranker.model.windows import Windows, batches, cut, gather, joined, proposal_clips, widened
from workers.ranker.scoring.decode import DecodeConfig, ranked
from workers.ranker.scoring.evidence import Evidence, QueryVectors, judge
from workers.ranker.scoring.found import packed, unpacked
from workers.ranker.scoring.query_branch import QueryBranch
from workers.ranker.scoring.ranker import Reads
from workers.ranker.scoring.stored import StoredScorer, check_fit, heads_of, jobs_of, stored_windows
from workers.ranker.stores import checkpoint
from workers.ranker.stores.contexts import EncodedStore
from workers.ranker.stores.features import FeatureMaps

KIND = "ranker"


@dataclass(frozen=True, slots=True)
class RankerConfig:
    """What a ranker's checkpoint says: the model, and how its outputs become spans and scores."""

    model: ReloConfig = field(default_factory=ReloConfig)
    decode: DecodeConfig = field(default_factory=DecodeConfig)


class ReloRanker:
    """Refines and scores proposals. Not for use by several threads at once."""

    def __init__(
        self, model: Relo, decode: DecodeConfig, device: str | torch.device = "cpu", name: str = "relo"
    ) -> None:
        self.device = torch.device(device)
        self.model = model.to(self.device).eval()
        self.decode = decode
        self.name = name
        self.stored: StoredScorer | None = None
        self._first: ReloRanker | None = None
        self._heads = heads_of(self.model, decode)
        self._queries = QueryBranch(self.model, self.device)

    @staticmethod
    def open(directory: Path, device: str | torch.device = "cpu") -> "ReloRanker":
        """Load a checkpoint directory; NotFound, InvalidInput or Mismatch when it is no sound ranker."""
        config = checkpoint.load_config(directory, KIND, RankerConfig)
        model = checkpoint.load_model(lambda: make_model(config.model), directory, device)
        return ReloRanker(model, config.decode, device, f"relo@{checkpoint.read_card(directory).fingerprint}")

    @property
    def fingerprint(self) -> str:
        """Of the checkpoint; empty for a model that was never saved."""
        return self.name.partition("@")[2]

    @property
    def streams(self) -> Mapping[str, int]:
        """Width of each feature stream it reads."""
        config = self.model.config
        window = config.window
        return {window.video_stream: config.visual_dim, window.subtitle_stream: config.subtitle_dim}

    @property
    def token_width(self) -> int:
        """Width of the token states it reads."""
        return self.model.config.query_dim

    @property
    def batched(self) -> bool:
        """Whether queries are ranked together: against stored contexts, in one call of the kernel."""
        return self.stored is not None

    @property
    def reads(self) -> Reads:
        """Stored contexts that are not on a GPU, or features."""
        if self.stored is None:
            return "features"
        return "nothing" if self.stored.on_gpu else "stored contexts"

    def again(self, usual_cosine: float | None = None) -> "ReloRanker":
        """Return a ranker of the same model and query cache, for another version: without stored contexts.

        Two such may be used at the same time. It keeps the first of them alive, to be found by others.
        usual_cosine: the version's; None for that of the texts by which the ranker was fitted.
        """
        other = copy.copy(self)
        if usual_cosine is not None and self.decode.fusion is not None:
            fusion = replace(self.decode.fusion, usual_cosine=usual_cosine)
            other.decode = replace(self.decode, fusion=fusion)
        other.stored, other._first = None, self._first or self
        return other

    def ahead(self, tokens: Floats) -> None:
        """Compute what is of a query's token states (t, width) alone, for when it is ranked. Thread-safe."""
        # A GPU's graph is captured while nothing else is launched there.
        if len(tokens) and self.device.type == "cpu":
            self._queries.vectors([tokens])

    def use_stored(self, store: EncodedStore, features: FeatureMaps, threads: int = 0) -> None:
        """Rank against stored contexts from now on; Mismatch unless this very ranker encoded them."""
        if store.ranker != self.fingerprint:
            raise Mismatch(
                f"stored contexts are of ranker {store.ranker}, this one is {self.fingerprint or 'unsaved'}; "
                "run `spr build` again"
            )
        check_fit(store, self.model, features)
        self.stored = StoredScorer(store, self.device, threads)

    def rank_many(self, queries: Sequence[RankQuery], features: FeatureMaps) -> list[Ranked]:
        """Rank several queries' proposals together; one answer a query, each in its proposals' order."""
        found = zip(queries, self.found_many(queries, features), strict=True)
        return [self.settled(query, rows, features) for query, rows in found]

    def settled(self, query: RankQuery, found: Doubles, features: FeatureMaps) -> Ranked:
        """Score what was found in all proposals of a query."""
        columns = unpacked(found, query.videos)
        return ranked(query, *columns, self.decode, query.searched or len(features), self.name)

    def examine(self, queries: Sequence[RankQuery], features: FeatureMaps) -> tuple[Windows, Evidence]:
        """Return the windows of all proposals, query after query, and what was found in them."""
        found = np.concatenate(self.found_many(queries, features))
        windows, evidence, _ = unpacked(found, np.concatenate([query.videos for query in queries]))
        return windows, evidence

    def found_many(self, queries: Sequence[RankQuery], features: FeatureMaps) -> list[Doubles]:
        """Return what each query's proposals have in them; see `found.packed`."""
        if not queries:
            return []
        videos = np.concatenate([query.videos for query in queries])
        spans = np.concatenate([query.spans for query in queries])
        owners = np.repeat(np.arange(len(queries)), [len(query) for query in queries])
        vectors = self._queries.vectors([query.token_states for query in queries])
        windows = cut(videos, spans, features, self.model.config.window)
        found, there = Evidence.empty(len(windows)), self._is_stored(videos, features)
        if self.stored is not None and there.any():
            rows = np.flatnonzero(there)
            store, window = self.stored.store, self.model.config.window
            part = stored_windows(videos[rows], spans[rows], store, features.durations, window)
            jobs = jobs_of(part, spans[rows], store, owners[rows])
            found.put(rows, self.stored.scoring.score(vectors, jobs, self._heads))
            windows = joined(windows, part, rows)
        for rows in batches(np.where(there, 0, windows.lengths)):
            part = windows.take(rows)
            found.put(rows, self._online(vectors, owners[rows], part, spans[rows], features))
        ends = np.cumsum([len(query) for query in queries])
        return np.split(packed(windows, found, features.durations[videos]), ends[:-1])

    def _is_stored(self, videos: Ordinals, features: FeatureMaps) -> NDArray[np.bool_]:
        """Return which videos' clips are all in the store."""
        if self.stored is None:
            return np.zeros(len(videos), bool)
        clips = features.counts(self.model.config.window.video_stream)
        return np.asarray(self.stored.store.clips[videos] == clips[videos])

    @torch.inference_mode()
    def _online(
        self,
        vectors: QueryVectors,
        owners: NDArray[np.int64],
        windows: Windows,
        spans: Doubles,
        features: FeatureMaps,
    ) -> Evidence:
        """Encode windows and judge them; owners: (n,) the query of each."""
        window, halo = self.model.config.window, self.model.halo
        wide, before = widened(windows, halo, features, window)
        clips = gather(wide, features, replace(window, max_clips=window.max_clips + 2 * halo))
        context = self.model.encode_context(
            *(self._tensor(column) for column in (clips.video, clips.subtitles, clips.mask))
        )
        video, subtitle = context.video.float(), context.subtitle.float()
        query = QueryVectors(*(column[owners] for column in vectors.columns()))
        cosines = (
            self._meet(query.unit_video, normalize(video, dim=-1)),
            self._meet(query.unit_subtitle, normalize(subtitle, dim=-1)),
        )
        r = (self._meet(query.linear_video, video) + self._meet(query.linear_subtitle, subtitle)) / 2
        if halo:
            places = before[:, None] + np.arange(int(windows.lengths.max()))
            inner = self._tensor(np.minimum(places, r.shape[1] - 1))
            cosines = (cosines[0].gather(1, inner), cosines[1].gather(1, inner))
            r = r.gather(1, inner)
        lengths = self._tensor(windows.lengths)
        if window.padding == "tight":
            r = r * (torch.arange(r.shape[1], device=self.device) < lengths[:, None])
        first, last = self._tensor(proposal_clips(windows, spans)).unbind(1)
        return judge(cosines, r, lengths, (first, last), self._heads)

    def _meet(self, vectors: Floats, features: torch.Tensor) -> torch.Tensor:
        return (features @ self._tensor(vectors)[..., None])[..., 0]

    def _tensor(self, array: NDArray[np.float32] | NDArray[np.int64]) -> torch.Tensor:
        return torch.from_numpy(array).to(self.device)
