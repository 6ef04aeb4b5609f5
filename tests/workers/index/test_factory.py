import pytest

from engine.errors import InvalidInput
from workers.index.factory import (
    AUTO_RECALL,
    CODES,
    FAST_RECALL,
    LISTED,
    VECTORS_PER_LIST,
    default_nprobe,
    default_partitions,
    quick_partitions,
    recipe,
)


def test_partitions_follow_the_published_rule() -> None:
    assert default_partitions(383_828) == 8192
    assert default_partitions(1_000_000) == 8192


@pytest.mark.parametrize("vectors", [1, 38, 39, 500, 10_000, 100_000])
def test_every_list_has_vectors_to_train_on(vectors: int) -> None:
    partitions = default_partitions(vectors)
    assert partitions >= 1
    assert partitions == 1 or vectors // partitions >= VECTORS_PER_LIST


def test_one_list_in_64_is_probed() -> None:
    assert [default_nprobe(n) for n in (1, 10, 256, 8192)] == [1, 10, 16, 128]


def test_names_become_factories() -> None:
    assert recipe("flat", 8, 5).factory == recipe("flatl2", 8, 5).factory == "Flat"
    assert recipe("flatl2", 8, 5).l2
    assert recipe("ivfflat", 8, 1000).factory == "IVF25,Flat"
    assert recipe("ivfpq", 32, 1000).factory == "IVF25,PQ16x8"
    assert recipe("IVF64,SQfp16", 8, 1000).partitions == 64
    assert recipe("OPQ16,IVF1k,PQ16", 32, 5000).partitions == 1024


@pytest.mark.parametrize(
    ("dim", "vectors", "shards", "label"),
    [
        (16, 1, 1, "Flat"),
        (768, 13_000, 1, "Flat"),
        (256, 39_000, 1, "Flat"),
        (768, 14_000, 1, CODES),
        (768, 100_000, 8, "Flat"),
        (768, 100_000, 1, CODES),
        (768, 200_000, 2, CODES),
        (768, 100_001, 1, f"IVF1024,{LISTED}"),
        (768, 383_828, 1, f"IVF2048,{LISTED}"),
        (768, 10_000_000, 2, f"IVF8192,{LISTED}"),
        (256, 20_000_000, 4, f"IVF8192,{LISTED}"),
    ],
)
def test_auto_goes_by_the_size_of_a_shard(dim: int, vectors: int, shards: int, label: str) -> None:
    made = recipe("auto", dim, vectors, shards)
    assert made.label == label
    assert made.recall == (0 if label == "Flat" else AUTO_RECALL)


def test_auto_of_few_segments_is_flat() -> None:
    assert recipe("auto", 768, 1000) == recipe("flat", 768, 1000)


@pytest.mark.parametrize("vectors", [1, 100, 5000, 383_828])
def test_fast_has_lists_that_are_trained_quickly(vectors: int) -> None:
    made = recipe("fast", 768, vectors)
    assert made.factory == f"IVF{quick_partitions(vectors)},{LISTED}"
    assert made.recall == FAST_RECALL
    assert made.sample <= vectors
    assert made.partitions == 1 or vectors // made.partitions >= VECTORS_PER_LIST


@pytest.mark.parametrize(
    ("index", "dim", "vectors", "words"),
    [
        ("ivfpq", 32, 255, "256 centroids but there are 255 segments"),
        ("ivfpq", 20, 300, "dimension is 20"),
        ("IVF64,Flat", 8, 63, "64 lists but there are 63 segments"),
        ("flat", 8, 0, "at least one segment"),
        (" ", 8, 9, "type"),
    ],
)
def test_what_cannot_be_built_is_refused_with_the_counts(
    index: str, dim: int, vectors: int, words: str
) -> None:
    with pytest.raises(InvalidInput, match=words):
        recipe(index, dim, vectors)
