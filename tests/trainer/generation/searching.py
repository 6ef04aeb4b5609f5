"""A search of all shards of a generation."""

from pathlib import Path

import numpy as np

from engine import manifest
from engine.types import Hits
from tests.workers.index.factories import merged
from trainer.generation.build import BuildReport
from workers.index.shard import IndexShard


def search(report: BuildReport, queries: np.ndarray, k: int) -> list[Hits]:
    generation = Path(report.directory)
    shards = [IndexShard.open(generation / entry.name) for entry in manifest.read(generation).shards]
    answers = [shard.search(queries, k) for shard in shards]
    return [merged([answer[query] for answer in answers], k) for query in range(len(queries))]
