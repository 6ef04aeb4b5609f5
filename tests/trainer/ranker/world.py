"""A made-up collection without pixels: frame features with events in them, sentences about the events.

An event is a thing and an action; its frames are the sum of both vectors and noise, its subtitles
the action's vector. A sentence names one or both; its tokens are word vectors of another space.
"""

import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trainer.collection.annotations import JudgedMoment, JudgedQuery, save_corpus, save_queries
from trainer.collection.queries import POOLED, TOKENS, text_key
from workers.feature_store.store import FeatureStore, Stream
from workers.ranker.stores.features import FRAMES, SUBTITLES

DIM, WIDTH = 24, 16
THINGS, ACTIONS = 8, 6
ENCODER = "0123456789abcdef"


@dataclass(frozen=True)
class Event:
    video: str
    start: float
    end: float
    thing: int
    action: int

    @property
    def caption(self) -> str:
        return f"thing{self.thing} action{self.action}"


def make_collection(path: Path, train: int = 24, val: int = 8, seed: int = 0, noise: float = 0.5) -> Path:
    """Write features, encoded queries and annotations; ids are v000, v001, ..."""
    rng = np.random.default_rng(seed)
    things, actions = rng.normal(size=(THINGS, DIM)), rng.normal(size=(ACTIONS, DIM))
    words = rng.normal(size=(THINGS + ACTIONS, WIDTH))
    splits = {"train": range(train), "val": range(train, train + val)}
    streams = {FRAMES: Stream(DIM, 1.0), SUBTITLES: Stream(DIM, 1.0)}
    meta = {"source": "made-up", "fingerprint": ENCODER}
    with FeatureStore.create(path / "features" / ENCODER, streams, "float32", meta) as store:
        for split, numbers in splits.items():
            events: list[Event] = []
            corpus: dict[str, float] = {}
            for number in numbers:
                video, length = f"v{number:03}", int(rng.integers(40, 70))
                own = _events(video, length, rng)
                frames = noise * rng.normal(size=(length, DIM))
                subtitles = np.zeros((length, DIM))
                for event in own:
                    inside = slice(round(event.start), round(event.end))
                    frames[inside] += things[event.thing] + actions[event.action]
                    subtitles[inside] = actions[event.action]
                store.append(video, {FRAMES: frames, SUBTITLES: subtitles}, duration=length)
                corpus[video], events = float(length), events + own
            queries = _queries(split, events, corpus)
            save_corpus(path / "annotations" / f"corpus_{split}.json", corpus)
            save_queries(path / "annotations" / f"{split}.json", queries)
    _encode(path, things, actions, words)
    return path


def _events(video: str, length: int, rng: np.random.Generator) -> list[Event]:
    events, now = [], float(rng.integers(0, 6))
    while now + 5 < length:
        end = min(now + float(rng.integers(4, 13)), length)
        events.append(Event(video, now, end, int(rng.integers(THINGS)), int(rng.integers(ACTIONS))))
        now = end + float(rng.integers(1, 10))
    return events


def _sentences() -> list[tuple[str, int | None, int | None]]:
    both = itertools.product(range(THINGS), range(ACTIONS))
    sentences: list[tuple[str, int | None, int | None]] = [(f"thing{t} action{a}", t, a) for t, a in both]
    sentences += [(f"thing{t}", t, None) for t in range(THINGS)]
    return sentences + [(f"action{a}", None, a) for a in range(ACTIONS)]


def _queries(split: str, events: list[Event], corpus: dict[str, float]) -> list[JudgedQuery]:
    queries: list[JudgedQuery] = []
    for text, thing, action in _sentences():
        moments: list[JudgedMoment] = []
        for event in events:
            wanted = [x for x in (thing, action) if x is not None]
            shared = (thing == event.thing) + (action == event.action)
            if shared:
                fit = shared / len(wanted)
                moments.append(_moment(len(moments), event, corpus, fit, split))
        if any(moment.similarity == 1 for moment in moments):
            queries.append(JudgedQuery(len(queries), text, tuple(moments)))
    return queries


def _moment(number: int, event: Event, corpus: dict[str, float], fit: float, split: str) -> JudgedMoment:
    relevance = None if split == "train" else (4.0 if fit == 1 else 1.0)
    duration = corpus[event.video]
    return JudgedMoment(number, event.video, event.start, event.end, duration, event.caption, fit, relevance)


def _encode(
    path: Path, things: NDArray[np.float64], actions: NDArray[np.float64], words: NDArray[np.float64]
) -> None:
    streams = {POOLED: Stream(DIM, 1.0), TOKENS: Stream(WIDTH, 1.0)}
    with FeatureStore.create(path / "queries" / ENCODER, streams, "float32", {}) as store:
        for text, thing, action in _sentences():
            pooled, tokens = np.zeros(DIM), []
            if thing is not None:
                pooled, tokens = pooled + things[thing], [words[thing]]
            if action is not None:
                pooled, tokens = pooled + actions[action], [*tokens, words[THINGS + action]]
            arrays = {POOLED: pooled[None], TOKENS: np.array(tokens)}
            store.append(text_key(text), arrays, info={"text": text})
