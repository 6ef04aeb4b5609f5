"""The second of a moment that looks most like the query: from the ranker to the clients."""

from dataclasses import replace

import numpy as np
import pytest

from engine import wire_rank
from engine.choosing import chosen
from engine.errors import Mismatch
from engine.filters import Allowed, Stretch
from engine.queries import SearchOptions
from engine.ranking import ordered
from engine.types import Proposals, Ranked
from spr.v1 import search_service_pb2 as pb
from spr_client.translate import result_from_pb
from tests.engine.asking import search
from tests.engine.oracle import Cluster
from tests.engine.running import ask
from tests.engine.test_composed import A, B, composed

PROPOSALS = Proposals(
    np.array([0, 0, 1], np.int32),
    np.array([[0.0, 10], [2, 11], [5, 9]]),
    np.arange(3, dtype=np.int32),
    np.array([0.9, 0.8, 0.7], np.float32),
)
RANKED = Ranked(
    "relo@0",
    PROPOSALS.spans,
    np.array([1.0, 3.0, 2.0]),
    np.zeros(3, np.float32),
    np.array([True, True, False]),
    best=np.array([4.0, 10.0, np.nan]),
)


def quarters(response: pb.SearchResponse, parts: bool = False) -> None:
    """Fail unless every moment has the second that the oracle says: a fourth of its span, or first part."""
    assert response.moments
    for sent, moment in zip(response.moments, result_from_pb(response).moments, strict=True):
        assert sent.HasField("best_offset")
        start, end = moment.parts[0] if parts else (moment.start, moment.end)
        assert moment.best == pytest.approx(0.75 * start + 0.25 * end, abs=1e-6)


def test_a_search_tells_it_of_what_was_refined(shared: Cluster) -> None:
    quarters(ask(shared, search))
    quarters(ask(shared, lambda stub: stub.Search(composed(A, B))), parts=True)
    coarse = ask(shared, lambda stub: search(stub, params={"rerank": False}))
    assert coarse.moments
    assert not any(moment.HasField("best_offset") for moment in coarse.moments)
    assert {moment.best for moment in result_from_pb(coarse).moments} == {None}


def test_it_keeps_to_its_moment() -> None:
    ranked = wire_rank.ranked_from_pb(wire_rank.ranked_to_pb(RANKED), 3)
    moments = ordered(PROPOSALS, ranked)
    assert moments.best is not None
    np.testing.assert_array_equal(moments.best, [10.0, np.nan, 4.0])
    fewer = chosen(moments, SearchOptions(nms_iou=0.5))
    assert fewer.best is not None
    np.testing.assert_array_equal(fewer.best, [10.0, np.nan])


def test_what_lies_outside_of_a_moved_span_is_not_told() -> None:
    allowed = Allowed(np.ones(2, bool), 2, Stretch(0.0, 8.0))
    cut = allowed.cut_refined(RANKED, PROPOSALS, np.array([60.0, 60.0]))
    np.testing.assert_array_equal(cut.shown, [4.0, np.nan, np.nan])


def test_a_worker_that_does_not_say_it_leaves_it_open() -> None:
    old = wire_rank.ranked_from_pb(wire_rank.ranked_to_pb(replace(RANKED, best=None)), 3)
    assert old.best is None
    assert np.isnan(ordered(PROPOSALS, old).best).all()  # type: ignore[arg-type]


@pytest.mark.parametrize("best", [[1.0], [-1.0, 2.0, 3.0], [1.0, 2.0, np.inf]])
def test_what_is_no_second_is_refused(best: list[float]) -> None:
    sent = wire_rank.ranked_to_pb(replace(RANKED, best=np.array(best)))
    with pytest.raises(Mismatch, match="best second"):
        wire_rank.ranked_from_pb(sent, 3)
