"""Judged pairs of three queries and their videos' features."""

import numpy as np
import torch

from trainer.collection.annotations import JudgedMoment, JudgedQuery
from trainer.collection.retrieval import Retrieval
from trainer.ranker.data import TrainingData, mine, pairs_of, trainable
from trainer.ranker.settings import RankerSettings
from workers.ranker.model.windows import WindowConfig
from workers.ranker.projection.projector import MeanPool
from workers.ranker.stores.features import FRAMES, SUBTITLES, ContextStore, ContextStream

WINDOW = WindowConfig(clip_length=1.0, context=4.0)
SETTINGS = RankerSettings(context=4.0, depth=6, batch=4)


def contexts(lengths: list[int]) -> ContextStore:
    rng = np.random.default_rng(0)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    streams = {
        name: ContextStream(rng.normal(size=(sum(lengths), 8)).astype(np.float32), offsets, 1.0)
        for name in (FRAMES, SUBTITLES)
    }
    return ContextStore(streams, np.array(lengths, float))


def moment(video: str, start: float, end: float, caption: str, similarity: float = 0.9) -> JudgedMoment:
    return JudgedMoment(0, video, start, end, 60.0, caption, similarity)


QUERIES = [
    JudgedQuery(1, "one", (moment("a", 2, 9, "x"), moment("b", 20, 31.5, "y"), moment("c", 0, 4, "z", 0.1))),
    JudgedQuery(2, "two", (moment("b", 40, 44, "x"), moment("gone", 1, 2, "x"), moment("a", 30, 37, "w"))),
    JudgedQuery(3, "three", (moment("a", 57, 59, "v"),)),
]
ORDINALS = {"a": 0, "b": 1, "c": 2}


def data(by_similarity: bool = False) -> TrainingData:
    store = contexts([50, 60, 5])
    every = pairs_of(QUERIES, ORDINALS, 0.5)
    pairs = every.take(trainable(every, store, 4.0, WINDOW))
    retrieval = Retrieval.embed(store, MeanPool(), torch.device("cpu"))
    queries = torch.randn(3, 8, generator=torch.Generator().manual_seed(0))
    mined, wrong = mine(pairs, queries, retrieval, store, WINDOW, SETTINGS)
    tokens = [np.ones((n, 5), np.float32) for n in (2, 3, 40)]
    return TrainingData(store, pairs, mined, wrong, tokens, WINDOW, 4.0, by_similarity)
