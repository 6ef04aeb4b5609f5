import numpy as np
import pytest

from engine.types import Floats
from tests.workers.index.factories import clustered, labels, shard, template
from workers.index.factory import CODES, LISTED
from workers.index.part import IndexPart
from workers.index.vectors import vectors_of

COUNTS = [25] * 40
VECTORS = clustered(1000, 32)


@pytest.mark.parametrize("index", ["flat", "flatl2", "IVF16,Flat", "IVF16,PQ16x4,RFlat", "HNSW16"])
def test_vectors_come_back_as_they_were_added(index: str) -> None:
    part = shard(VECTORS, COUNTS, index)
    np.testing.assert_array_equal(vectors_of(part), VECTORS)
    rows = np.asarray([999, 0, 17, 17])
    np.testing.assert_array_equal(vectors_of(part, rows), VECTORS[rows])


@pytest.mark.parametrize("index", ["SQfp16", CODES, f"IVF16,{LISTED}"])
def test_half_precision_is_rounded_once(index: str) -> None:
    once = vectors_of(shard(VECTORS, COUNTS, index))
    # FAISS rounds a half up, NumPy to even.
    assert (np.abs(once - VECTORS) <= np.abs(np.spacing(VECTORS.astype(np.float16)))).all()
    again = IndexPart.build(template(VECTORS, index), [once], *labels(COUNTS))
    np.testing.assert_array_equal(vectors_of(again), once)


@pytest.mark.parametrize("index", ["IVF16,SQfp16", "RaBitQfs", "IVF16,PQ16x4"])
def test_codes_are_decoded(index: str) -> None:
    decoded: Floats = vectors_of(shard(VECTORS, COUNTS, index))
    assert decoded.shape == VECTORS.shape
    assert np.einsum("nd,nd->n", decoded, VECTORS).mean() > 0.7
