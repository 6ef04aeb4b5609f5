"""Early termination of a search in inverted lists, and of scoring its candidates anew.

A query visits the lists that may hold one of its hits. A code tells how much nearer to the query its row is
than the centroid of its list. Among the rows of the first few lists the largest such gain says how far out a
list may lie and still hold a hit as good as the last one; farther lists are left out. Most queries are done
after a few lists, those between clusters visit as many as they may. In the same way the largest gain of a
score over its estimate, among the candidates with the best estimates, says how low an estimate may be and
still belong to a hit. What the first lists hold also is the floor of the others: an estimate that enough
rows exceed already is not kept.
"""

import math
from typing import TYPE_CHECKING, Any

import faiss
import numpy as np
from numpy.typing import NDArray

from engine.types import Floats
from workers.index.living import Found, Living
from workers.index.originals import BLOCK, Mapped, Originals

if TYPE_CHECKING:
    from workers.index.lists import Lists

Rows = NDArray[np.int64]

# Lists that every query visits, rows of which the gain is taken at least, and how much more than the largest
# gain a list is given. Measured: docs/experiments/2026-11-index.md.
FIRST, SEEN, SLACK = 16, 100, 1.5
# How much of the largest gain over an estimate the others are given: more are scored than that takes.
FURTHER = 0.9
# Candidates that are scored in one go: finding out which need not be costs as much as a few hundred. And one
# in so many: or a larger factor would find no more where codes err much.
AT_ONCE, ONE_IN = 500, 4
# Codes of all lists that may be visited, below which finding out what to leave out costs what it saves.
WORTH = 5_000
# The least share of rows that may be found: of fewer, what the first lists hold tells little of the others.
SHARE = 0.5


def of(index: Any, originals: Originals | None) -> "Stopping | None":
    """Return how to search lists of codes that stop early, None for an index of another kind.

    They are RaBitQ's: of those FAISS estimates inner products. originals: those of a large part.
    """
    if not isinstance(index, faiss.IndexRefine) or index.metric_type != faiss.METRIC_INNER_PRODUCT:
        return None
    codes, exact = faiss.downcast_index(index.base_index), faiss.downcast_index(index.refine_index)
    if not (isinstance(codes, faiss.IndexIVFRaBitQ) and isinstance(exact, faiss.IndexScalarQuantizer)):
        return None
    # What is compiled is loaded where it is needed: it takes half a second and 50 MB.
    from workers.index.lists import Lists, readable

    return Stopping(codes, Lists(codes), originals or Mapped(exact)) if readable(codes) else None


class Stopping:
    """Searches lists of codes, and scores anew what looks nearest. Thread-safe."""

    def __init__(self, codes: Any, lists: "Lists", originals: Originals) -> None:
        self._codes, self._lists, self._originals = codes, lists, originals
        self._quantizer = _halved(codes.quantizer)

    def search(
        self, queries: Floats, k: int, candidates: int, nprobe: int, living: Living | None = None
    ) -> Found:
        """Return scores and rows, (nq, k), of the best of so many candidates, -1 where there are fewer.

        nprobe: lists to visit at most. All of them are visited where they are few or all that there are, and
        where the first ones hardly hold k rows; and where candidates are all rows, all are scored. living:
        the rows that may be found, None for all.
        """
        nlist, total = int(self._codes.nlist), int(self._codes.ntotal)
        near, lists = self._quantizer.search(queries, min(nprobe, nlist))
        count = total if living is None else living.count
        pays = nprobe * total >= WORTH * nlist and k * nlist <= FIRST * count and count >= SHARE * total
        early = k if FIRST < nprobe < nlist and pays else 0
        found = []
        for query, products, numbers in zip(queries, near, lists, strict=True):
            estimates, rows = self._candidates(query, products, numbers, max(k, candidates), living, early)
            if candidates >= count:
                best, places = self._originals.best(query[None], rows[None], k)
                found.append((best[0], places[0]))
            else:
                found.append(self._best(query[None], rows, estimates, k))
        return np.stack([scores for scores, _ in found]), np.stack([best for _, best in found])

    def _candidates(
        self, query: Floats, near: Floats, lists: Rows, count: int, living: Living | None, early: int
    ) -> tuple[Floats, Rows]:
        """Return estimates and rows of the best `count`, best first.

        near: inner products of the lists' centroids. early: k of a search that stops early, 0 otherwise.
        """
        mask = None if living is None else living.rows
        first, floor = self._lists.scan(query, lists[:FIRST], living=mask), -math.inf
        rest = lists[FIRST:]
        if len(first.rows) >= count:
            first = first.best(count)
            floor = float(first.products.min())
        if early and len(first.rows) >= early:
            rest = rest[near[FIRST:] >= _last(first.products, near[first.places], early)]
        others = self._lists.scan(query, rest, floor, mask)
        estimates = np.concatenate([first.products, others.products])
        order = np.argsort(-estimates)[:count]
        return estimates[order], np.concatenate([first.rows, others.rows])[order]

    def _best(self, query: Floats, rows: Rows, estimates: Floats, k: int) -> Found:
        """Return the best `k` of candidates, the best estimates first, that others hardly reach."""
        # More than k, or all are scored at once.
        first = max(AT_ONCE, 2 * k, len(rows) // ONE_IN)
        if len(rows) <= first + first // 4:
            best, places = self._originals.best(query, rows[None], k)
            return best[0], places[0]
        scores, gain, done = np.empty(len(rows), np.float32), 0.0, 0
        while done < len(rows):
            block = slice(done, min(len(rows), done + min(BLOCK, done // 2 or first)))
            scores[block] = self._originals.scores(query, rows[block])
            gain = max(gain, float((scores[block] - estimates[block]).max()))
            done = block.stop
            # Rows that are equal have one estimate: they are scored together.
            if done == len(rows) or estimates[done] == estimates[done - 1]:
                continue
            if estimates[done] + FURTHER * gain < _largest(scores[:done], k):
                break
        order = np.lexsort((rows[:done], -scores[:done]))[:k]
        return scores[order], rows[order]


def _halved(quantizer: Any) -> Any:
    """Return a coarse quantizer that keeps centroids in bfloat16: half of what every query reads first.

    What rounding adds to an estimate is a hundredth of the error of its code.
    """
    flat = faiss.downcast_index(quantizer)
    if not isinstance(flat, faiss.IndexFlat):
        return quantizer
    kind = faiss.ScalarQuantizer.QT_bf16
    halved: Any = faiss.IndexScalarQuantizer(flat.d, kind, flat.metric_type)
    centroids = flat.reconstruct_n(0, flat.ntotal)
    halved.train(centroids)
    halved.add(centroids)
    return halved


def _largest(scores: Floats, k: int) -> float:
    """Return the k-th largest score, -inf where there are fewer."""
    return float(np.partition(scores, -k)[-k]) if len(scores) >= k else -math.inf


def _last(products: Floats, near: Floats, k: int) -> float:
    """Return the inner product that a centroid must have for its list to be worth a visit.

    products: estimates of at least k rows. near: of their lists' centroids.
    """
    seen = min(max(k, SEEN), len(products))
    best = np.argpartition(-products, seen - 1)[:seen]
    return _largest(products[best], k) - SLACK * float((products[best] - near[best]).max())
