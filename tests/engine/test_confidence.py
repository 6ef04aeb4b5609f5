"""How sure the ranker is: from its answer to the client's, with what it did not say left out."""

from dataclasses import replace

import numpy as np
import pytest

from engine import wire, wire_rank
from engine.choosing import chosen
from engine.errors import Mismatch
from engine.queries import SearchOptions
from engine.ranking import ordered
from engine.types import Floats, Proposals, Ranked
from engine.wire_moments import _known
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


def response(confidences: list[float] | None, threshold: float | None = 0.4) -> RankResponse:
    sure = None if confidences is None else np.array(confidences, np.float32)
    return RankResponse(
        ranker_model="relo@0",
        spans=wire.doubles_to_bytes(PROPOSALS.spans),
        scores=wire.doubles_to_bytes(np.array([1.0, 3.0, 2.0])),
        relevances=wire.floats_to_bytes(np.zeros(3, np.float32)),
        refined=bytes([1, 1, 1]),
        confidences=b"" if sure is None else wire.floats_to_bytes(sure),
        confidence_threshold=None if sure is None else threshold,
    )


def _ranked(response: RankResponse) -> Ranked:
    return wire_rank.ranked_from_pb(response, len(PROPOSALS))


def test_confidences_keep_to_their_moments() -> None:
    moments = ordered(PROPOSALS, _ranked(response([0.1, 0.6, 0.3])))
    assert moments.confidences is not None
    numeric.close(moments.confidences, [0.6, 0.3, 0.1])
    assert not moments.no_confident_match
    assert moments.confidence_threshold == pytest.approx(0.4)
    fewer = chosen(moments, SearchOptions(nms_iou=0.5))
    assert fewer.confidences is not None
    numeric.close(fewer.confidences, [0.6, 0.3])
    assert ordered(PROPOSALS, _ranked(response([0.1, 0.3, 0.39]))).no_confident_match


def test_who_says_nothing_is_not_unsure() -> None:
    moments = ordered(PROPOSALS, _ranked(response(None)))
    assert (moments.confidences, moments.no_confident_match) == (None, False)
    assert moments.confidence_threshold is None
    assert _known(moments.confidences, slice(0, 2), 2) == [None, None]
    assert chosen(moments, SearchOptions(nms_iou=0.5)).confidences is None


def test_what_the_ranker_did_not_see_has_no_confidence() -> None:
    ranked = _ranked(response([0.1, 0.6, 0.3]))
    sure: Floats = np.array([0.2], np.float32)
    first = Ranked("relo@0", ranked.spans[:1], ranked.scores[:1], ranked.relevances[:1], ranked.refined[:1])
    moments = ordered(PROPOSALS, replace(first, confidences=sure, confidence_threshold=0.1))
    assert _known(moments.confidences, slice(0, 3), 3) == [pytest.approx(0.2), None, None]
    assert not moments.no_confident_match


@pytest.mark.parametrize("confidences", [[0.5], [0.1, 0.2, 1.5], [0.1, 0.2, float("nan")]])
def test_what_is_no_probability_is_refused(confidences: list[float]) -> None:
    with pytest.raises(Mismatch, match="confidences"):
        _ranked(response(confidences))


@pytest.mark.parametrize("threshold", [None, 1.5, float("nan")])
def test_a_threshold_that_is_no_probability_is_refused(threshold: float | None) -> None:
    with pytest.raises(Mismatch, match="confidences"):
        _ranked(response([0.1, 0.6, 0.3], threshold))


def test_what_a_ranker_says_comes_back() -> None:
    sure = np.array([0.1, 0.6, 0.3], np.float32)
    columns = (
        PROPOSALS.spans,
        np.array([1.0, 3.0, 2.0]),
        np.zeros(3, np.float32),
        np.array([True, False, True]),
    )
    for ranked in (Ranked("relo@0", *columns, sure, 0.5), Ranked("similarity-curve", *columns)):
        back = _ranked(wire_rank.ranked_to_pb(ranked))
        for column in ("spans", "scores", "relevances", "refined", "confidences"):
            np.testing.assert_array_equal(getattr(back, column), getattr(ranked, column))
        assert (back.ranker, back.confidence_threshold) == (ranked.ranker, ranked.confidence_threshold)


def test_clients_see_a_probability_or_none() -> None:
    answer = SearchResponse(
        moments=[Moment(confidence=0.25), Moment()], no_confident_match=True, confidence_threshold=0.5
    )
    result = result_from_pb(answer)
    assert [moment.confidence for moment in result.moments] == [0.25, None]
    assert (result.no_confident_match, result.confidence_threshold) == (True, 0.5)
    assert result_from_pb(SearchResponse()).confidence_threshold is None
