from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import wire
from engine.errors import InvalidInput, Mismatch
from engine.types import EncodedQuery, Hits
from spr.v1 import types_pb2
from tests import numeric


@given(st.floats(0, 1e6))
def test_seconds_survive_to_the_nanosecond(seconds: float) -> None:
    assert abs(wire.duration_from_pb(wire.duration_to_pb(seconds)) - seconds) < 1e-9 + seconds * 1e-15


@given(st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1e6)), max_size=3))
def test_a_span_written_in_place_is_the_one_that_is_made(spans: list[tuple[float, float]]) -> None:
    table = np.array(spans, np.float64).reshape(-1, 2)
    for (start, end), parts in zip(spans, wire.span_parts(table), strict=True):
        moment = types_pb2.Moment()
        wire.put_span(moment.span, parts)
        wanted = types_pb2.TimeSpan(
            start_offset=wire.duration_to_pb(start), end_offset=wire.duration_to_pb(end)
        )
        assert moment == types_pb2.Moment(span=wanted)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_tensors_survive(dtype: type[np.floating]) -> None:
    array = np.arange(6).reshape(2, 3).astype(dtype)
    message = wire.tensor_to_pb(array)
    assert len(message.data) == array.nbytes
    back = wire.tensor_from_pb(message, [None, 3], "x")
    assert back.dtype == np.float32
    assert (back == array).all()


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (types_pb2.Tensor(shape=[1], data=b"1234"), "data type"),
        (types_pb2.Tensor(dtype=types_pb2.DATA_TYPE_FLOAT32, shape=[1], data=b"12345678"), "needs 4"),
        (types_pb2.Tensor(dtype=types_pb2.DATA_TYPE_FLOAT32, shape=[2], data=b"12345678"), "must be"),
        (types_pb2.Tensor(dtype=types_pb2.DATA_TYPE_FLOAT32, shape=[1, 1], data=b"1234"), "2 axes"),
        # More digits than Python prints, in quadratic time, if anybody multiplied them.
        (types_pb2.Tensor(dtype=types_pb2.DATA_TYPE_FLOAT32, shape=[2**32 - 1] * 100_000), "axes"),
        (types_pb2.Tensor(dtype=types_pb2.DATA_TYPE_FLOAT32, shape=[1], data=b"\0\0\x80\x7f"), "not finite"),
    ],
)
def test_a_bad_tensor_is_refused(tensor: types_pb2.Tensor, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        wire.tensor_from_pb(tensor, [1], "x")


@pytest.mark.parametrize("size", [1e-45, 1e-30, 1.0, 3e38])
def test_a_vector_of_any_length_is_brought_to_unit_length(size: float) -> None:
    vector = np.array([1, 1, -1, 1], np.float32) * np.float32(size)
    unit = wire.unit_from_pb(wire.tensor_to_pb(vector), 4, "x")
    numeric.close(unit, np.array([0.5, 0.5, -0.5, 0.5]))


def test_values_beyond_what_can_be_multiplied_are_refused() -> None:
    with pytest.raises(InvalidInput, match="beyond 1e") as caught:
        wire.tensor_from_pb(wire.tensor_to_pb(np.full(2, 1e20, np.float32)), [2], "x")
    assert caught.value.field == "x.data"


def hits(*rows: tuple[int, int, float]) -> Hits:
    table = np.array(rows).reshape(-1, 3)
    return Hits(table[:, 0].astype(np.int32), table[:, 1].astype(np.int32), table[:, 2].astype(np.float32))


def test_hits_survive() -> None:
    parts = [hits((1, 2, 0.5), (0, 7, -0.25)), hits(), hits((2, 0, 1.0))]
    back = wire.hits_from_pb(wire.hits_to_pb(parts), 3)
    for part, other in zip(parts, back, strict=True):
        assert part.videos.tolist() == other.videos.tolist()
        assert part.segments.tolist() == other.segments.tolist()
        assert part.scores.tolist() == other.scores.tolist()


@pytest.mark.parametrize("row", [(3, 0, 0.0), (-1, 0, 0.0), (0, -1, 0.0), (0, 0, float("nan"))])
def test_hits_outside_the_catalogue_are_refused(row: tuple[int, int, float]) -> None:
    with pytest.raises(Mismatch):
        wire.hits_from_pb(wire.hits_to_pb([hits(row)]), 3)


def test_columns_that_disagree_are_refused() -> None:
    message = wire.hits_to_pb([hits((0, 0, 1.0))])
    message.counts[0] = 2
    with pytest.raises(Mismatch):
        wire.hits_from_pb(message, 3)
    message.scores += b"x"
    with pytest.raises(InvalidInput, match="no multiple of 4"):
        wire.hits_from_pb(message, 3)


def test_encoded_queries_survive() -> None:
    query = EncodedQuery(np.ones(4, np.float32), np.ones((3, 2), np.float32), np.ones(5, np.float32), "m")
    back = wire.encoded_from_pb(wire.encoded_to_pb(query), 4)
    assert back.model_id == "m"
    assert back.token_states.shape == (3, 2)
    assert not back.truncated
    assert wire.encoded_from_pb(wire.encoded_to_pb(replace(query, truncated=True)), 4).truncated
    assert back.sentence is None
    said = wire.encoded_to_pb(replace(query, sentence=np.array([0.6, 0.8], np.float32)))
    numeric.close(wire.encoded_from_pb(said, 4, 2).sentence, [0.6, 0.8])
    with pytest.raises(InvalidInput, match="sentence"):
        wire.encoded_from_pb(said, 4, 3)
    with pytest.raises(InvalidInput, match="embedding has shape"):
        wire.encoded_from_pb(wire.encoded_to_pb(query), 3)
