"""The chance level: NDCG of random spans of the corpus, as long as true moments are.

The guesser knows the videos, their durations and how long moments usually are, but reads no query and sees no
frame. What an engine scores above it comes from the query and the frames.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from trainer.collection.annotations import JudgedQuery, load_corpus
from trainer.evaluation.judged import Ranking, Truth
from trainer.evaluation.matching import SPR, Protocol
from trainer.evaluation.measures import NDCG, NDCGS
from trainer.evaluation.scores import evaluate

REPEATS = 5


def corpus_file(truth: Path) -> Path:
    """Return where the file of a truth's videos lies."""
    return truth.with_name(f"corpus_{truth.name}")


def corpus_beside(truth: Path) -> dict[str, float]:
    """Return `{video: seconds}` of the file that lies beside a truth; {} where none does."""
    path = corpus_file(truth)
    return load_corpus(path) if path.is_file() else {}


def corpus_of(queries: Sequence[JudgedQuery]) -> dict[str, float]:
    """Return `{video: seconds}` of the videos that the judged moments name."""
    return {moment.video: moment.duration for query in queries for moment in query.moments}


def random_run(
    query_ids: Sequence[int], corpus: Mapping[str, float], lengths: Sequence[float], depth: int, seed: int
) -> dict[int, Ranking]:
    """Return `depth` random spans a query: video by its share of the seconds, length drawn from `lengths`."""
    random = np.random.default_rng(seed)
    names = np.array(sorted(corpus), str)
    durations = np.array([corpus[name] for name in names], np.float64)
    shares = durations / durations.sum()
    run = {}
    for query_id in query_ids:
        videos = random.choice(len(names), size=depth, p=shares)
        spans = np.minimum(random.choice(np.asarray(lengths, np.float64), size=depth), durations[videos])
        starts = random.uniform(0.0, 1.0, depth) * (durations[videos] - spans)
        run[query_id] = Ranking(names[videos], np.stack([starts, starts + spans], axis=1))
    return run


def chance(
    queries: Sequence[JudgedQuery],
    truth: Truth,
    corpus: Mapping[str, float],
    measures: Sequence[NDCG] = NDCGS,
    protocol: Protocol = SPR,
    seed: int = 0,
) -> dict[str, float]:
    """Return the measures of blind guessing, the mean of a few seeded runs; zeros without true moments."""
    lengths = [moment.end - moment.start for query in queries for moment in query.moments if moment.relevance]
    if not lengths or not corpus:
        return {str(measure): 0.0 for measure in measures}
    depth = max(measure.k for measure in measures)
    runs = [
        evaluate(random_run(list(truth), corpus, lengths, depth, seed + repeat), truth, measures, protocol)
        for repeat in range(REPEATS)
    ]
    return {str(measure): float(np.mean([run[str(measure)] for run in runs])) for measure in measures}
