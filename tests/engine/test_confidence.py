"""How sure the ranker is: from its answer to the client's, with what it did not say left out."""

from dataclasses import replace

import numpy as np
import pytest

from engine import wire
from engine.errors import Mismatch
from engine.pipeline import _distinct
from engine.ranking import Judged, _judged, ordered
from engine.types import Floats, Proposals
from engine.wire_search import _sure
from spr.internal.v1.ranker_service_pb2 import RankResponse
from spr.v1.search_service_pb2 import SearchResponse
from spr.v1.types_pb2 import Moment
from spr_client.translate import result_from_pb
from tests import numeric

PROPOSALS = Proposals(
    np.array([0, 0, 1], np.int32),
    np.array([[0.0, 10], [2, 11], [5, 9]]),
    np.arange(3, dtype=np.int32),
    np.array([0.9, 0.8, 0.7], np.float32),
)


def response(confidences: list[float] | None, nothing_below: float = 0.4) -> RankResponse:
    sure = None if confidences is None else np.array(confidences, np.float32)
    return RankResponse(
        ranker_model="relo@0",
        spans=wire.doubles_to_bytes(PROPOSALS.spans),
        scores=wire.doubles_to_bytes(np.array([1.0, 3.0, 2.0])),
        relevances=wire.floats_to_bytes(np.zeros(3, np.float32)),
        refined=bytes([1, 1, 1]),
        confidences=b"" if sure is None else wire.floats_to_bytes(sure),
        nothing_below=nothing_below,
    )


def test_confidences_keep_to_their_moments() -> None:
    moments = ordered(PROPOSALS, _judged(response([0.1, 0.6, 0.3]), PROPOSALS))
    assert moments.confidences is not None
    numeric.close(moments.confidences, [0.6, 0.3, 0.1])
    assert not moments.nothing_good
    assert moments.confidence_threshold == pytest.approx(0.4)
    fewer = _distinct(moments, 0.5)
    assert fewer.confidences is not None
    numeric.close(fewer.confidences, [0.6, 0.3])
    assert ordered(PROPOSALS, _judged(response([0.1, 0.3, 0.39]), PROPOSALS)).nothing_good


def test_who_says_nothing_is_not_unsure() -> None:
    moments = ordered(PROPOSALS, _judged(response(None), PROPOSALS))
    assert (moments.confidences, moments.nothing_good) == (None, False)
    assert moments.confidence_threshold is None
    assert _sure(moments, slice(0, 2)) == [None, None]
    assert _distinct(moments, 0.5).confidences is None


def test_what_the_ranker_did_not_see_has_no_confidence() -> None:
    judged = _judged(response([0.1, 0.6, 0.3]), PROPOSALS)
    sure: Floats = np.array([0.2], np.float32)
    first = Judged("relo@0", judged.spans[:1], judged.scores[:1], judged.relevances[:1], judged.refined[:1])
    moments = ordered(PROPOSALS, replace(first, confidences=sure, nothing_below=0.1))
    assert _sure(moments, slice(0, 3)) == [pytest.approx(0.2), None, None]
    assert not moments.nothing_good


@pytest.mark.parametrize("confidences", [[0.5], [0.1, 0.2, 1.5], [0.1, 0.2, float("nan")]])
def test_what_is_no_probability_is_refused(confidences: list[float]) -> None:
    with pytest.raises(Mismatch, match="confidences"):
        _judged(response(confidences), PROPOSALS)


def test_clients_see_a_probability_or_none() -> None:
    answer = SearchResponse(
        moments=[Moment(confidence=0.25), Moment()], nothing_good=True, confidence_threshold=0.5
    )
    result = result_from_pb(answer)
    assert [moment.confidence for moment in result.moments] == [0.25, None]
    assert (result.nothing_good, result.confidence_threshold) == (True, 0.5)
    assert result_from_pb(SearchResponse()).confidence_threshold is None
