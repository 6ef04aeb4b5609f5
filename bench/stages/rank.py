"""Ranking 150 proposals: against stored contexts, and as published, every window encoded again."""

import dataclasses

import numpy as np
import torch

from bench import building, models
from bench import corpus as corpora
from bench.results import Figure, Outcome, Setup
from bench.stages.floor import bytes_ms
from bench.stages.proposals import exact_hits
from bench.timing import laps
from engine.corpus import Corpus, open_corpus
from engine.proposals import propose
from engine.queries import SearchOptions
from engine.ranking import take
from engine.types import Floats, Proposals, RankQuery
from workers.ranker.model.relo import Relo, ReloConfig
from workers.ranker.model.windows import token_batch
from workers.ranker.scoring.decode import DecodeConfig
from workers.ranker.scoring.relo_ranker import ReloRanker
from workers.ranker.scoring.stored import stored_windows
from workers.ranker.stores.contexts import EncodedStore
from workers.ranker.stores.features import FeatureMaps
from workers.warming import read_through

PROPOSALS = 150
_SAMPLE = 10


def run(setup: Setup) -> Outcome:
    """Time the ranker over stored contexts, over windows bucketed by length, and over padded windows."""
    sizes = setup.sizes
    torch.set_num_threads(setup.threads)
    collection = building.collection(setup.cache, sizes)
    opened = open_corpus(collection)
    corpus = corpora.load(setup.cache, sizes.share, sizes.dim)
    asked = [
        take(propose(hits, corpus.durations, corpora.SEGMENT, SearchOptions().rule), PROPOSALS)
        for hits in exact_hits(corpus, sizes.queries, 2 * PROPOSALS)
    ]
    rng = np.random.default_rng(12)
    tokens = [rng.standard_normal((models.WORDS + 2, sizes.tower[0]), np.float32) for _ in asked]
    rows, notes = _stored(setup, opened, asked, tokens)
    rows += _online(setup, _features(opened), asked, tokens)
    return Outcome(rows, notes)


def _stored(
    setup: Setup, opened: Corpus, asked: list[Proposals], tokens: list[Floats]
) -> tuple[list[Figure], list[str]]:
    """Time ranking against warm contexts, from proposals to scored spans, for sentences read before."""
    sizes = setup.sizes
    contexts, store = _features(opened), _contexts(opened)
    # Into the page cache: what is timed is memory, as in a worker that has warmed up.
    read_through(store.arrays())
    rows = []
    for threads in dict.fromkeys((1, setup.threads)):
        relo = _relo(models.ranker_config(sizes))
        ranker = ReloRanker(relo, DecodeConfig(), name=f"relo@{store.ranker}")
        ranker.use_stored(store, contexts, threads)

        def rank(run: int, ranker: ReloRanker = ranker) -> None:
            one = asked[run % len(asked)]
            ranker.rank_many([_query(tokens[run % len(asked)], one)], contexts)

        taken = laps(rank, sizes.runs, warm=len(asked))
        key = "stored" if threads == setup.threads else "stored_1"
        label = f"{PROPOSALS} proposals against stored contexts, {threads} thread(s)"
        rows.append(Figure(key, label, "ours", taken.median, more={"p99_ms": taken.share(0.99)}))
    window = models.ranker_config(sizes).window
    clips = float(
        np.mean(
            [
                stored_windows(o.videos, o.spans, store, contexts.durations, window).lengths.sum()
                for o in asked
            ]
        )
    )
    read = clips * sum(part[0][:1].nbytes for stream in store.streams.values() for part in stream.parts()[:1])
    more = {"clips": clips, "mb": read / 1e6}
    floor = bytes_ms(read, setup.threads, sizes)
    rows.append(Figure("floor", "reading their rows once", "floor", floor, more=more))
    found = float(np.mean([len(one) for one in asked]))
    note = (
        f"{found:.0f} proposals a query, {clips / found:.1f} clips a window, {store.dtype} of {store.hidden}"
    )
    return rows, [f"{note}; {len(asked)} queries in turn. The query branch is a row of its own."]


def _features(opened: Corpus) -> FeatureMaps:
    maps = [FeatureMaps.open(part.directory) for part in opened.parts]
    return FeatureMaps.of_parts(maps, [part.ordinals for part in opened.parts], opened.version.streams)


def _contexts(opened: Corpus) -> EncodedStore:
    stores = [EncodedStore.open(part.directory) for part in opened.parts]
    return EncodedStore.of_parts(stores, [part.ordinals for part in opened.parts])


def _online(
    setup: Setup, contexts: FeatureMaps, asked: list[Proposals], tokens: list[Floats]
) -> list[Figure]:
    """Time the published model, windows encoded for every query: bucketed by length, and padded to 128."""
    sizes = setup.sizes
    config = models.ranker_config(sizes)
    relo = _relo(config)

    def query(run: int) -> None:
        with torch.inference_mode():
            arrays = token_batch([tokens[run % len(tokens)]], config.window)
            relo.encode_query(*map(torch.from_numpy, arrays))

    branch = laps(query, sizes.runs)
    tight = ReloRanker(relo, DecodeConfig())

    def bucketed(run: int) -> None:
        one = asked[run % len(asked)]
        tight.rank_many([_query(tokens[0], one)], contexts)

    rows = [Figure("query", "the query branch of the ranker", "ours", branch.median)]
    online = laps(bucketed, sizes.slow, warm=0, seconds=10)
    rows.append(Figure("online", "windows encoded online, bucketed by length", "ours", online.median))
    window = dataclasses.replace(config.window, padding="published")
    published = ReloRanker(_relo(dataclasses.replace(config, window=window)), DecodeConfig())
    count = _SAMPLE if sizes.published else 4
    part = take(asked[0], count)

    def sample(_: int) -> None:
        published.rank_many([_query(tokens[0], part)], contexts)

    taken = laps(sample, sizes.slow, warm=0, seconds=6).median - branch.median
    more = {"windows_timed": len(part)}
    label = "windows encoded online, padded to 128, from a sample"
    scaled = taken * PROPOSALS / len(part) + branch.median
    return [*rows, Figure("published", label, "published", scaled, more=more)]


def _query(tokens: Floats, proposals: Proposals) -> RankQuery:
    # ReLo reads token states alone.
    embedding = np.zeros(0, np.float32)
    return RankQuery(tokens, embedding, proposals.videos, proposals.spans, proposals.scores)


def _relo(config: ReloConfig) -> Relo:
    torch.manual_seed(0)
    return Relo(config).eval()
