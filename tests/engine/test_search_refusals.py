"""What a search refuses, with which reason, field and words."""

import grpc
import grpc.aio
import numpy as np
import pytest

from engine import wire
from spr.v1 import search_service_pb2 as pb
from spr.v1 import types_pb2
from tests.engine.asking import embedding_of, request
from tests.engine.corpus import DIM, MODEL
from tests.engine.oracle import Cluster
from tests.engine.running import ask, details, lines_of, refused, written


def many_axes() -> pb.SearchRequest:
    tensor = types_pb2.Tensor(dtype=types_pb2.DATA_TYPE_FLOAT32, shape=[2**32 - 1] * 100_000)
    return pb.SearchRequest(embedding=types_pb2.Embedding(tensor=tensor, model_id=MODEL))


def short_tensor() -> pb.SearchRequest:
    asked = embedding_of(np.ones(DIM))
    asked.embedding.tensor.data = asked.embedding.tensor.data[:-1]
    return asked


@pytest.mark.parametrize(
    ("asked", "code", "reason"),
    [
        (request(" "), "INVALID_ARGUMENT", "QUERY_EMPTY"),
        (request("\u200b"), "INVALID_ARGUMENT", "QUERY_EMPTY"),
        (request("x" * 1001), "INVALID_ARGUMENT", "BAD_PARAMETER"),
        (request(collection="other"), "NOT_FOUND", "COLLECTION_NOT_FOUND"),
        (request(page_size=-1), "INVALID_ARGUMENT", "BAD_PARAMETER"),
        (request(page_token="nonsense"), "INVALID_ARGUMENT", "PAGE_TOKEN_INVALID"),
        (request(request_id="x" * 65), "INVALID_ARGUMENT", "BAD_PARAMETER"),
        (request(request_id="ä"), "INVALID_ARGUMENT", "BAD_PARAMETER"),
        (request(params={"segment_top_k": 0}), "INVALID_ARGUMENT", "BAD_PARAMETER"),
        (request(params={"segment_top_k": 2001}), "INVALID_ARGUMENT", "BAD_PARAMETER"),
        (request(params={"nms_iou": float("nan")}), "INVALID_ARGUMENT", "BAD_PARAMETER"),
        (request(params={"min_coverage": 1.1}), "INVALID_ARGUMENT", "BAD_PARAMETER"),
        (
            request(params={"proposal_rule": pb.ProposalRule(adaptive_gap=2)}),
            "INVALID_ARGUMENT",
            "BAD_PARAMETER",
        ),
        (
            request(params={"proposal_rule": pb.ProposalRule(constant_gap=0)}),
            "INVALID_ARGUMENT",
            "BAD_PARAMETER",
        ),
        (embedding_of(np.ones(DIM), "other"), "FAILED_PRECONDITION", "MODEL_MISMATCH"),
        (embedding_of(np.ones(DIM + 1)), "INVALID_ARGUMENT", "TENSOR_SIZE_MISMATCH"),
        (embedding_of(np.zeros(DIM)), "INVALID_ARGUMENT", "BAD_PARAMETER"),
        (embedding_of(np.full(DIM, np.nan)), "INVALID_ARGUMENT", "BAD_PARAMETER"),
        (short_tensor(), "INVALID_ARGUMENT", "TENSOR_SIZE_MISMATCH"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_reason(
    shared: Cluster, asked: pb.SearchRequest, code: str, reason: str
) -> None:
    assert refused(shared, lambda stub: stub.Search(asked))[:2] == (code, reason)


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        (request(" "), "text"),
        (request(page_size=-1), "page_size"),
        (request(page_token="a." + "9" * 5000), "page_token"),
        (request(request_id="x" * 65), "request_id"),
        (request(params={"nms_iou": 2}), "params.nms_iou"),
        (
            request(params={"proposal_rule": pb.ProposalRule(constant_gap=0)}),
            "params.proposal_rule.constant_gap",
        ),
        (embedding_of(np.ones(DIM + 1)), "embedding.tensor.shape"),
        (short_tensor(), "embedding.tensor.data"),
        (many_axes(), "embedding.tensor.shape"),
    ],
)
def test_the_field_that_is_wrong_is_named(shared: Cluster, asked: pb.SearchRequest, field: str) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        ask(shared, lambda stub: stub.Search(asked, timeout=10))
    (violation,) = details(caught.value)["BadRequest"].field_violations
    assert violation.field == field


@pytest.mark.parametrize(
    "asked",
    [
        request(collection="x" * 200_000),
        pb.SearchRequest(
            embedding=types_pb2.Embedding(
                tensor=wire.tensor_to_pb(np.ones(DIM, np.float32)), model_id="\n" * 200_000
            )
        ),
    ],
)
def test_a_long_name_is_quoted_in_part(shared: Cluster, asked: pb.SearchRequest) -> None:
    asked.request_id = "long"
    with written("spr.rpc") as lines:
        code, _, message = refused(shared, lambda stub: stub.Search(asked))
        line = next(lines_of(lines, "long"))
    assert code in ("NOT_FOUND", "FAILED_PRECONDITION")
    assert len(message) < 500
    assert len(line["message"]) < 600


def test_a_defect_is_not_told_to_the_caller(shared: Cluster) -> None:
    code, reason, message = refused(shared, lambda stub: stub.Search(request("broken", request_id="r-7")))
    assert (code, reason) == ("INTERNAL", "INTERNAL")
    assert "r-7" in message
    assert "secret" not in message
