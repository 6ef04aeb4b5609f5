"""Early termination of a search in inverted lists, and of scoring its candidates anew.

A query visits the lists that may hold one of its hits. A code tells how much nearer to the query its row is
than the centroid of its list. Among the rows of the first few lists the largest such gain says how far out a
list may lie and still hold a hit as good as the last one; farther lists are left out. Most queries are done
after a few lists, those between clusters visit as many as they may. In the same way the largest gain of a
score over its estimate, among the candidates with the best estimates, says how low an estimate may be and
still belong to a hit.
"""

import math
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from engine.types import Floats
from workers.index.living import Found, Living
from workers.index.originals import BLOCK, Mapped, Originals

Rows = NDArray[np.int64]
# Lists that every query visits, rows of which the gain is taken at least, and how much more than the largest
# gain a list is given. Measured: docs/experiments/2026-11-index.md.
FIRST, SEEN, SLACK = 16, 100, 1.5
# How much of the largest gain over an estimate the others are given: more are scored than that takes.
FURTHER = 0.9
# Candidates that are scored in one go: finding out which need not be costs as much as a few hundred. And one
# in so many: or a larger factor would find no more where codes err much.
AT_ONCE, ONE_IN = 800, 4
# Codes of all lists that may be visited, below which finding out what to leave out costs what it saves.
WORTH = 30_000
# Of rows that may be found, the least share of which so many more are looked at that enough of them are.
SHARE = 0.5
# Bits of a place that number the code inside its list.
_LIST = 32

_python: Any = faiss  # its stubs lack what its Python part adds


def of(index: Any, originals: Originals | None) -> "Stopping | None":
    """Return how to search lists of codes that stop early, None for an index of another kind.

    They are RaBitQ's: of those FAISS estimates inner products. originals: those of a large part.
    """
    if not isinstance(index, faiss.IndexRefine) or index.metric_type != faiss.METRIC_INNER_PRODUCT:
        return None
    codes, exact = faiss.downcast_index(index.base_index), faiss.downcast_index(index.refine_index)
    if not (isinstance(codes, faiss.IndexIVFRaBitQ) and isinstance(exact, faiss.IndexScalarQuantizer)):
        return None
    return Stopping(codes, originals or Mapped(exact))


class Stopping:
    """Searches lists of codes, and scores anew what looks nearest. Thread-safe."""

    def __init__(self, codes: Any, originals: Originals) -> None:
        self._codes, self._originals = codes, originals
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
        if FIRST < nprobe < nlist and pays:
            lists = np.where(_worthwhile(self._codes, queries, k, near, lists, living), lists, -1)
        selector = None if living is None else living.selector
        estimates, rows = _scanned(self._codes, queries, max(k, candidates), near, lists, selector)
        if candidates >= count:
            return self._originals.best(queries, rows, k)
        found = [
            self._best(queries[number : number + 1], rows[number], estimates[number], k)
            for number in range(len(queries))
        ]
        return np.stack([scores for scores, _ in found]), np.stack([best for _, best in found])

    def _best(self, query: Floats, rows: Rows, estimates: Floats, k: int) -> Found:
        """Return the best `k` of candidates, the best estimates first, that others hardly reach."""
        # More than k, or all are scored at once.
        rows, first = rows[rows >= 0], max(AT_ONCE, 2 * k, len(rows) // ONE_IN)
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


def _worthwhile(
    codes: Any, queries: Floats, k: int, near: Floats, lists: Rows, living: Living | None
) -> NDArray[np.bool_]:
    """Return which of `lists` (nq, n) may hold a hit; near: the inner products of their centroids."""
    first, own = lists[:, :FIRST], near[:, :FIRST]
    scores, places = _seen(codes, queries, max(k, SEEN), own, first, living)
    which = ((places >> _LIST)[:, :, None] == first[:, None, :]).argmax(axis=2)
    gains = np.where(places >= 0, scores - np.take_along_axis(own, which, axis=1), -np.inf)
    last = np.where(places[:, k - 1] >= 0, scores[:, k - 1] - SLACK * gains.max(axis=1), -np.inf)
    worth = near >= last[:, None]
    worth[:, :FIRST] = True
    return np.asarray(worth)


def _seen(
    codes: Any, queries: Floats, k: int, near: Floats, lists: Rows, living: Living | None
) -> tuple[Floats, Rows]:
    """Return estimates and places, (nq, k), best first, of living rows in `lists`, -1 for none."""
    if living is None:
        return _scanned(codes, queries, k, near, lists, places=True)
    # FAISS tells no places of what a selector lets through: a tenth more than the share of the others.
    fetch = math.ceil(1.1 * k * len(living.rows) / living.count) + 16
    scores, places = _scanned(codes, queries, fetch, near, lists, places=True)
    others = ~living.rows[_rows(codes, places)] | (places < 0)
    first = np.argsort(others, axis=1, kind="stable")[:, :k]
    places = np.where(np.take_along_axis(others, first, 1), -1, np.take_along_axis(places, first, 1))
    return np.take_along_axis(scores, first, 1), places


def _rows(codes: Any, places: Rows) -> Rows:
    """Return the rows of places, row 0 of place -1."""
    rows = np.zeros_like(places)
    for number in np.unique(places[places >= 0] >> _LIST):
        here = places >> _LIST == number
        ids = _python.rev_swig_ptr(codes.invlists.get_ids(int(number)), codes.invlists.list_size(int(number)))
        rows[here] = ids[places[here] & ((1 << _LIST) - 1)]
    return rows


def _scanned(
    codes: Any, queries: Floats, k: int, near: Floats, lists: Rows, selector: Any = None, places: bool = False
) -> Found:
    """Return estimates and rows, (nq, k), best first, of what is in `lists` (nq, n), -1 for none.

    near: as of `_worthwhile`. places: where the codes lie instead of their rows, the list above the number
    inside it.
    """
    scores, rows = np.empty((len(queries), k), np.float32), np.empty((len(queries), k), np.int64)
    given = {} if selector is None else {"sel": selector}
    parameters = _python.SearchParametersIVF(nprobe=lists.shape[1], **given)
    arrays = queries, np.ascontiguousarray(lists), np.ascontiguousarray(near), scores, rows
    asked, visited, own, *found = map(_python.swig_ptr, arrays)
    codes.search_preassigned_c(len(queries), asked, k, visited, own, *found, places, parameters)
    return scores, rows
