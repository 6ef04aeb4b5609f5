"""Collections of three parts, and what holds their versions."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from engine.entries import PartEntry, Version
from engine.types import Floats, Hits
from tests.workers.index.corpora import commit, rows_of, videos, write_part
from tests.workers.index.factories import pairs, template
from workers.index.factory import CODES
from workers.index.shard import Shard, ShardOpener
from workers.versions import Held

CORPUS = videos(40)
NAMES = list(CORPUS)
TRAINED = {index: template(rows_of(CORPUS)[0], index) for index in ("flat", CODES)}
QUERIES: Floats = rows_of(CORPUS)[0][::9]


def entries(collection: Path, index: str = "flat") -> list[PartEntry]:
    trained = TRAINED[index]
    shares = (NAMES[:20], NAMES[20:30], NAMES[30:])
    return [write_part(collection, {one: CORPUS[one] for one in share}, trained, trained) for share in shares]


def made(collection: Path, listed: Sequence[PartEntry], index: str = "flat", name: str = "tiny") -> Version:
    return commit(collection, [listed], TRAINED[index], name=name)


def holding(*collections: Path) -> Held[Shard]:
    held = Held(collections, ShardOpener("shard-00000", "cpu"))
    held.prepare_current()
    return held


def answers(held: Held[Shard], version: Version) -> list[list[tuple[int, int]]]:
    return [pairs(hits) for hits in held.get(version.id).search(QUERIES, 5)]


def same(expected: Sequence[Hits], found: Sequence[Hits]) -> None:
    for one, other in zip(expected, found, strict=True):
        assert pairs(one) == pairs(other)
        np.testing.assert_array_equal(one.scores, other.scores)
