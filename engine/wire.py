"""Messages <-> values: the small pieces, and the answers of the workers.

Columns are little-endian bytes of a fixed type. All input is validated here, once: sizes first, then values.
On little-endian machines arrays are zero-copy, read-only views of the message's bytes.
"""

import itertools
import math
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from google.protobuf.duration_pb2 import Duration
from numpy.typing import NDArray

from engine.errors import InvalidInput, Mismatch
from engine.types import Doubles, EncodedQuery, Floats, Hits
from spr.internal.v1 import encoder_service_pb2, index_shard_service_pb2
from spr.v1 import types_pb2

# Vectors have unit length and token states values of some hundreds. With values up to this bound a sum of
# squares does not overflow float32.
LARGEST_VALUE = 1e15
# A text tower has 512 positions at most.
MOST_TOKENS = 1024

# Whole seconds and nanoseconds of a start and of an end.
SpanParts: TypeAlias = tuple[int, int, int, int]

_DTYPES: dict[int, np.dtype[np.floating]] = {
    types_pb2.DATA_TYPE_FLOAT32: np.dtype("<f4"),
    types_pb2.DATA_TYPE_FLOAT16: np.dtype("<f2"),
}


def duration_to_pb(seconds: float) -> Duration:
    """Return seconds as a Duration, to the nanosecond."""
    whole, nanos = divmod(round(seconds * 1_000_000_000), 1_000_000_000)
    return Duration(seconds=whole, nanos=nanos)


def duration_from_pb(duration: Duration) -> float:
    """Return a Duration as seconds."""
    return float(duration.seconds + duration.nanos / 1e9)


def span_to_pb(span: Doubles) -> types_pb2.TimeSpan:
    """Return a span (2,) in seconds as a TimeSpan, to the nanosecond."""
    message = types_pb2.TimeSpan()
    put_span(message, span_parts(span[None])[0])
    return message


def span_parts(spans: Doubles) -> list[SpanParts]:
    """Return the seconds and nanoseconds of the starts and ends of spans (n, 2), to the nanosecond."""
    whole, nanos = np.divmod(np.rint(spans * 1e9).astype(np.int64), 1_000_000_000)
    columns = (whole[:, 0], nanos[:, 0], whole[:, 1], nanos[:, 1])
    return list(zip(*(column.tolist() for column in columns), strict=True))


def put_span(message: types_pb2.TimeSpan, parts: SpanParts) -> None:
    """Write `span_parts` into an existing message, at a fourth of the cost of a new one."""
    start, end = message.start_offset, message.end_offset
    start.seconds, start.nanos, end.seconds, end.nanos = parts


def tensor_to_pb(array: NDArray[np.floating]) -> types_pb2.Tensor:
    """Return an array as a Tensor, float16 as such and everything else as float32."""
    kind = types_pb2.DATA_TYPE_FLOAT16 if array.dtype == np.float16 else types_pb2.DATA_TYPE_FLOAT32
    return types_pb2.Tensor(dtype=kind, shape=array.shape, data=_bytes(array, _DTYPES[kind]))


def tensor_from_pb(
    tensor: types_pb2.Tensor, shape: Sequence[int | None], name: str, largest: float = LARGEST_VALUE
) -> Floats:
    """Return a Tensor as float32; InvalidInput unless its bytes, and `shape` (None: any), agree.

    name: the field's path, for the error. largest: bound of the absolute values; they must always be finite.
    """
    dtype = _DTYPES.get(tensor.dtype)
    if dtype is None:
        message = f"{name} has data type {tensor.dtype}; send FLOAT32 or FLOAT16"
        raise InvalidInput(message, field=f"{name}.dtype")
    # The rank first: the product of a shape of any length has as many digits.
    if len(tensor.shape) != len(shape):
        message = f"{name} has {len(tensor.shape)} axes; it must have {len(shape)}"
        raise InvalidInput(message, "TENSOR_SIZE_MISMATCH", f"{name}.shape")
    sizes = tuple(tensor.shape)
    if not all(wanted in (None, size) for size, wanted in zip(sizes, shape, strict=True)):
        wanted = ["any" if size is None else size for size in shape]
        message = f"{name} has shape {list(sizes)}; it must be {wanted}"
        raise InvalidInput(message, "TENSOR_SIZE_MISMATCH", f"{name}.shape")
    needed = math.prod(sizes) * dtype.itemsize
    if needed != len(tensor.data):
        message = (
            f"{name} has {len(tensor.data)} bytes; its shape {list(sizes)} of {dtype.name} needs {needed}"
        )
        raise InvalidInput(message, "TENSOR_SIZE_MISMATCH", f"{name}.data")
    array = np.frombuffer(tensor.data, dtype).reshape(sizes).astype(np.float32, copy=False)
    _check_values(array, name, largest)
    return array


def unit_from_pb(tensor: types_pb2.Tensor, dim: int, name: str) -> Floats:
    """Return a Tensor of `dim` values normalised to unit length, float32; InvalidInput for zero."""
    vector = tensor_from_pb(tensor, [dim], name, largest=math.inf).astype(np.float64)
    # In float64, since squares of float32 values overflow and underflow.
    length = math.sqrt(float(np.dot(vector, vector)))
    if length == 0:
        raise InvalidInput(f"{name} is zero; it points nowhere", field=f"{name}.data")
    return (vector / length).astype(np.float32)


def ints_from_bytes(data: bytes, name: str) -> NDArray[np.int32]:
    """Return a column of int32."""
    return _column(data, np.dtype("<i4"), name).astype(np.int32, copy=False)


def floats_from_bytes(data: bytes, name: str) -> NDArray[np.float32]:
    """Return a column of float32."""
    return _column(data, np.dtype("<f4"), name).astype(np.float32, copy=False)


def doubles_from_bytes(data: bytes, name: str) -> NDArray[np.float64]:
    """Return a column of float64."""
    return _column(data, np.dtype("<f8"), name).astype(np.float64, copy=False)


def ints_to_bytes(column: NDArray[np.integer]) -> bytes:
    """Return a column as int32 bytes."""
    return _bytes(column, np.dtype("<i4"))


def floats_to_bytes(column: NDArray[np.floating]) -> bytes:
    """Return a column as float32 bytes."""
    return _bytes(column, np.dtype("<f4"))


def doubles_to_bytes(column: NDArray[np.floating]) -> bytes:
    """Return a column, or rows of pairs, as float64 bytes."""
    return _bytes(column, np.dtype("<f8"))


def hits_to_pb(parts: Sequence[Hits]) -> index_shard_service_pb2.SearchSegmentsResponse:
    """Return the hits of several queries as columns; the caller adds the rest of the response."""
    return index_shard_service_pb2.SearchSegmentsResponse(
        counts=[len(part) for part in parts],
        video_ordinals=b"".join(ints_to_bytes(part.videos) for part in parts),
        segment_ordinals=b"".join(ints_to_bytes(part.segments) for part in parts),
        scores=b"".join(floats_to_bytes(part.scores) for part in parts),
    )


def hits_from_pb(response: index_shard_service_pb2.SearchSegmentsResponse, videos: int) -> list[Hits]:
    """Return the hits of each query; Mismatch unless the columns agree and name one of `videos` ordinals.

    Whose answer it is, is checked in engine.retrieval.
    """
    ordinals = ints_from_bytes(response.video_ordinals, "video_ordinals")
    segments = ints_from_bytes(response.segment_ordinals, "segment_ordinals")
    scores = floats_from_bytes(response.scores, "scores")
    rows = sum(response.counts)
    if not rows == len(ordinals) == len(segments) == len(scores):
        raise Mismatch(f"hits of {len(ordinals)} videos, {len(segments)} segments, {len(scores)} scores")
    if rows and not (0 <= ordinals.min() and ordinals.max() < videos and segments.min() >= 0):
        raise Mismatch(f"hits name videos beyond the {videos} of the catalogue", "GENERATION_MISMATCH")
    if not np.isfinite(scores).all():
        raise Mismatch("hits have scores that are not finite; build the version again")
    bounds = itertools.accumulate(response.counts, initial=0)
    return [Hits(ordinals[a:b], segments[a:b], scores[a:b]) for a, b in itertools.pairwise(bounds)]


def encoded_to_pb(query: EncodedQuery) -> encoder_service_pb2.EncodeResponse:
    """Return an encoded query as a response."""
    response = encoder_service_pb2.EncodeResponse(
        embedding=types_pb2.Embedding(tensor=tensor_to_pb(query.embedding), model_id=query.model_id),
        token_states=tensor_to_pb(query.token_states),
        text_embedding=tensor_to_pb(query.text_embedding),
        text_truncated=query.truncated,
    )
    if query.sentence is not None:
        response.sentence.CopyFrom(tensor_to_pb(query.sentence))
    return response


def encoded_from_pb(
    response: encoder_service_pb2.EncodeResponse, dim: int, sentence_dim: int = 0
) -> EncodedQuery:
    """Return the encoder's answer. dim, sentence_dim: of its embedding, and of its sentence if it has one."""
    sentence = None
    if response.HasField("sentence"):
        sentence = unit_from_pb(response.sentence, sentence_dim, "sentence")
    return EncodedQuery(
        embedding=tensor_from_pb(response.embedding.tensor, [dim], "embedding"),
        token_states=tensor_from_pb(response.token_states, [None, None], "token_states"),
        text_embedding=tensor_from_pb(response.text_embedding, [None], "text_embedding"),
        model_id=response.embedding.model_id,
        truncated=response.text_truncated,
        sentence=sentence,
    )


def _check_values(column: NDArray[np.floating], name: str, largest: float) -> None:
    """Refuse (InvalidInput) a value that is not finite or beyond `largest`; the field is `name`.data."""
    magnitude = float(np.abs(column).max(initial=0.0))
    # Written so that NaN fails.
    if not magnitude <= min(largest, np.finfo(np.float64).max):
        what = "not finite" if not math.isfinite(magnitude) else f"beyond {largest:g}"
        raise InvalidInput(f"{name} holds a value that is {what}", field=f"{name}.data")


def _bytes(array: NDArray[np.generic], dtype: np.dtype[np.generic]) -> bytes:
    # One copy, since a message owns its bytes.
    return array.astype(dtype, copy=False).tobytes()


def _column(data: bytes, dtype: np.dtype[np.generic], name: str) -> NDArray[np.generic]:
    if len(data) % dtype.itemsize:
        message = f"{name} has {len(data)} bytes, no multiple of {dtype.itemsize}"
        raise InvalidInput(message, "TENSOR_SIZE_MISMATCH", name)
    return np.frombuffer(data, dtype)
