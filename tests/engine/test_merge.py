import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from engine.merge import top_k
from engine.types import Hits

# Few distinct scores, so that ties are the rule.
HITS = st.lists(
    st.tuples(st.integers(0, 9), st.integers(0, 5), st.sampled_from([0.0, -1.0, 0.5])),
    unique_by=lambda hit: hit[:2],
    max_size=40,
)


def hits_of(rows: list[tuple[int, int, float]]) -> Hits:
    return Hits(
        np.array([row[0] for row in rows], np.int32),
        np.array([row[1] for row in rows], np.int32),
        np.array([row[2] for row in rows], np.float32),
    )


@given(rows=HITS, k=st.integers(1, 50), shards=st.integers(1, 4))
def test_any_number_of_shards_gives_the_order_of_one(
    rows: list[tuple[int, int, float]], k: int, shards: int
) -> None:
    parts = [hits_of([row for row in rows if row[0] % shards == shard]) for shard in range(shards)]
    merged = top_k(parts, k)
    expected = sorted(rows, key=lambda row: (-row[2], row[0], row[1]))[:k]
    columns = (merged.videos.tolist(), merged.segments.tolist(), merged.scores.tolist())
    assert list(zip(*columns, strict=True)) == expected


def test_no_parts_are_no_hits() -> None:
    assert len(top_k([], 5)) == 0
