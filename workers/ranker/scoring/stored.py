"""Ranking against stored contexts: from proposals to rows of the store, and from these to evidence.

On the CPU the fused kernel reads the memory-mapped store. On CUDA the store is copied to the device, if it
fits there, and scored by one graph.
"""

import dataclasses
import logging
import math
import sys
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from engine.errors import Mismatch
from engine.types import Doubles, Ordinals
from workers.ranker.model.relo import Relo
from workers.ranker.model.windows import WindowConfig, Windows, arrange, proposal_clips
from workers.ranker.scoring.decode import DecodeConfig
from workers.ranker.scoring.evidence import Biases, Evidence, Heads, Jobs, QueryVectors
from workers.ranker.scoring.graph import DeviceScoring
from workers.ranker.stores.contexts import EncodedStore
from workers.ranker.stores.features import FeatureMaps

log = logging.getLogger("spr.ranker")

# Of the device's free memory this share may be taken by stored contexts.
DEVICE_SHARE = 0.8


def heads_of(model: Relo, decode: DecodeConfig) -> Heads:
    """Return what a model has besides vectors: filters, biases, and the spans to decode."""
    filters = (model.merged_st_predictor.weight, model.merged_ed_predictor.weight)
    start, end = (_flat(weight) for weight in filters)
    biases = None if model.bias is None else Biases(*(_flat(table) for table in model.bias))
    return Heads(start, end, decode.min_span, decode.max_span, biases)


def stored_windows(
    videos: Ordinals, spans: Doubles, store: EncodedStore, durations: Doubles, config: WindowConfig
) -> Windows:
    """Lay a window around every span (n, 2) of stored contexts; durations: (videos,) of the collection.

    Nothing is pooled: a stored clip's vector does not depend on how long the window is that reads it.
    """
    unbounded = dataclasses.replace(config, max_clips=sys.maxsize)
    return arrange(videos, spans, durations[videos], store.clips[videos], unbounded)


def jobs_of(windows: Windows, spans: Doubles, store: EncodedStore, queries: NDArray[np.int64]) -> Jobs:
    """Return the rows of windows and the places of their proposals (n, 2); queries: (n,) whose each is."""
    places = proposal_clips(windows, spans)
    rows = store.starts[windows.videos] + windows.first
    return Jobs(rows, windows.lengths, places[:, 0].copy(), places[:, 1].copy(), queries)


def check_fit(store: EncodedStore, model: Relo, features: FeatureMaps) -> None:
    """Refuse (Mismatch) contexts of another width, step or number of videos than model and features."""
    window = model.config.window
    found = (store.hidden, store.step, len(store))
    wanted = (model.config.hidden, window.clip_length, len(features))
    if found[::2] != wanted[::2] or not math.isclose(store.step, window.clip_length):
        raise Mismatch(
            f"stored contexts have (hidden, step, videos) {found}, ranker and features have {wanted}; "
            "run `spr build` again"
        )


class Scoring(Protocol):
    """Scores windows of one store."""

    def score(self, queries: QueryVectors, jobs: Jobs, heads: Heads) -> Evidence:
        """Return the evidence of all windows, in order."""


class StoredScorer:
    """One store and what scores its windows, from several threads if need be."""

    scoring: Scoring

    def __init__(self, store: EncodedStore, device: torch.device, threads: int = 0) -> None:
        """Place the store on `device` if it is a GPU with room for it. threads: of the kernel, 0 for all."""
        from workers.ranker.scoring import kernel

        self.store = store
        self.device = device if device.type == "cuda" and _fits(store, device) else torch.device("cpu")
        if self.on_gpu or not kernel.supported():
            self.read_with_torch()
        else:
            self.scoring = kernel.Kernel(store, threads)

    def read_with_torch(self) -> None:
        """Copy the store to the device and score there from now on, in torch."""
        self.scoring = DeviceScoring(self.store, self.device)

    @property
    def on_gpu(self) -> bool:
        """Whether the store lies in a GPU's memory."""
        return self.device.type == "cuda"


def _fits(store: EncodedStore, device: torch.device) -> bool:
    # What a version that was dropped has left in torch's cache is free.
    torch.cuda.empty_cache()
    free, _ = torch.cuda.mem_get_info(device)
    if store.bytes <= DEVICE_SHARE * free:
        return True
    log.warning(
        "stored contexts stay in main memory: the device has no room for them",
        extra={"bytes": store.bytes, "free": free},
    )
    return False


def _flat(tensor: torch.Tensor) -> NDArray[np.float32]:
    flat: NDArray[np.float32] = tensor.detach().float().cpu().numpy().reshape(-1).copy()
    return flat
