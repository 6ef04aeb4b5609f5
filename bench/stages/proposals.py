"""Hits to proposals: arrays, beside the published loop over objects."""

from functools import partial

import numpy as np

from bench import corpus as corpora
from bench import published
from bench.results import Figure, Outcome, Setup
from bench.timing import laps
from engine import merge
from engine.proposals import ProposalRule, propose
from engine.types import Hits

DEPTH = 200
_RULES = ("adjacent", "constant:2", "adaptive:0.5", "peaks:1")


def run(setup: Setup) -> Outcome:
    """Time every rule on the exact hits of queries, the merge before it, and the published loop."""
    sizes = setup.sizes
    corpus = corpora.load(setup.cache, sizes.share, sizes.dim)
    hits = exact_hits(corpus, sizes.queries)
    rows = []
    for text in _RULES:
        rule = ProposalRule.parse(text)
        taken = laps(partial(_propose, hits, corpus, rule), sizes.runs)
        found = [len(propose(one, corpus.durations, 4.0, rule)) for one in hits]
        more = {"p99_ms": taken.share(0.99), "proposals": float(np.mean(found))}
        rows.append(Figure(text, f"proposals, rule {text}", "ours", taken.median, "ms", more))
    halves = [[_part(one, slice(part, None, 2)) for part in (0, 1)] for one in hits]
    merged = laps(lambda run: merge.top_k(halves[run % len(halves)], DEPTH), sizes.runs)
    rows.append(Figure("merge", "merge of two shards' hits", "ours", merged.median))
    rows += _published(corpus, hits, sizes.runs)
    keys = [one.videos.astype(np.int64) << 32 | one.segments for one in hits]
    floor = laps(lambda run: np.argsort(keys[run % len(keys)], kind="stable"), sizes.runs)
    rows.append(Figure("floor", "one sort of the hits", "floor", floor.median))
    return Outcome(rows, [f"{DEPTH} hits a query, exact nearest segments of {len(hits)} queries."])


def exact_hits(corpus: corpora.Corpus, queries: int, depth: int = DEPTH) -> list[Hits]:
    """Return the exact nearest segments of the first queries, best first."""
    asked = corpus.queries[:queries]
    found = corpora.exact(corpus.vectors, asked, depth)
    return [
        Hits(corpus.videos[rows], corpus.segments[rows], np.asarray(corpus.vectors[rows] @ query))
        for rows, query in zip(found, asked, strict=True)
    ]


def _published(corpus: corpora.Corpus, hits: list[Hits], runs: int) -> list[Figure]:
    names, seconds = corpus.lengths.names, corpus.durations
    durations = dict(zip(names, seconds.tolist(), strict=True))

    def loop(run: int) -> int:
        # As published: a dict a hit, made from the index's rows, then a loop.
        one = hits[run % len(hits)]
        objects = [
            {"video": names[one.videos[row]], "segment": one.segments[row], "score": one.scores[row]}
            for row in range(len(one))
        ]
        return len(published.proposals(objects, durations, 4.0))

    taken = laps(loop, runs)
    return [Figure("published", "proposals, a loop over hits", "published", taken.median)]


def _propose(hits: list[Hits], corpus: corpora.Corpus, rule: ProposalRule, run: int) -> None:
    propose(hits[run % len(hits)], corpus.durations, corpora.SEGMENT, rule)


def _part(hits: Hits, rows: slice) -> Hits:
    return Hits(hits.videos[rows], hits.segments[rows], hits.scores[rows])
