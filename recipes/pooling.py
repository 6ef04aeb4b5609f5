"""How frames become a segment, without training: `python -m recipes.pooling COLLECTION --split val`.

The collection's current version has no trained models (`spr build COLLECTION --projector none --ranker none
--videos COLLECTION/annotations/corpus_val.json`). Its segments are embedded anew by every pooling, and the
split's queries about what is seen are answered and judged. What is said is added as `MeanPool` does, to all
alike. Of a version with a clip encoder (`python -m recipes.clip_encoder`) there is one row, its own vectors.
"""

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F

from engine.errors import InvalidInput
from engine.types import Floats
from trainer.collection.annotations import load_queries
from trainer.collection.places import FRAMES
from trainer.collection.retrieval import Retrieval
from trainer.collection.segments import VideoRows, hearing
from trainer.evaluation.offline import Offline, search_offline
from trainer.evaluation.report import report
from trainer.evaluation.runfile import RETRIEVAL
from workers.ranker.projection.projector import ClipPool, MeanPool

MEASURES = ("NDCG@10,IoU>=0.3", "NDCG@10,IoU>=0.5")
RECALLED = 50
Pool = Callable[[torch.Tensor], torch.Tensor]


def nearest(count: int) -> Pool:
    """Return the mean of the `count` frames nearest to the mean of all."""

    def pool(units: torch.Tensor) -> torch.Tensor:
        closeness = torch.einsum("nfd,nd->nf", units, units.mean(dim=1))
        chosen = closeness.topk(min(count, units.shape[1]), dim=1).indices
        return torch.gather(units, 1, chosen[..., None].expand(-1, -1, units.shape[2])).mean(dim=1)

    return pool


def weighted(sharpness: float) -> Pool:
    """Return the mean of frames, each by its closeness to the mean of all."""

    def pool(units: torch.Tensor) -> torch.Tensor:
        closeness = torch.einsum("nfd,nd->nf", units, F.normalize(units.mean(dim=1), dim=-1))
        return torch.einsum("nf,nfd->nd", F.softmax(sharpness * closeness, dim=1), units)

    return pool


# From unit frames (n, frames, dim) to segments (n, dim).
POOLS: Mapping[str, Pool] = {
    "mean of unit frames": lambda units: units.mean(dim=1),
    "mean of the 3 nearest to the mean": nearest(3),
    "mean of the 2 nearest to the mean": nearest(2),
    "the frame nearest to the mean": nearest(1),
    "mean weighted by closeness": weighted(10.0),
}
# Several rows a segment, which is as near as its best (or two best) rows: frames a row, rows that count.
MANY: Mapping[str, tuple[int, int]] = {
    "best half, 2 rows a segment": (2, 1),
    "best frame, 4 rows a segment": (1, 1),
    "mean of the 2 best frames, 4 rows a segment": (1, 2),
}


class Pooled(MeanPool):
    """A mean pool that pools frames otherwise."""

    def __init__(self, mean: MeanPool, pool: Pool) -> None:
        super().__init__(mean.segment_length, mean.said)
        self.pool = pool

    def segments(self, inputs: torch.Tensor) -> torch.Tensor:
        """Do as MeanPool does, with the pool for the frames."""
        frames = inputs if self.said is None else inputs.chunk(2, dim=-1)[0]
        units = F.normalize(frames, dim=-1)
        return super().segments(inputs) - units.mean(dim=1) + self.pool(units)


@dataclass(frozen=True, slots=True)
class Rows:
    """(segments, rows, dim) vectors; a query's score is the mean of its `count` best rows."""

    vectors: Floats
    count: int

    def __matmul__(self, query: Floats) -> Floats:
        scores = np.sort(self.vectors @ query, axis=1)[:, -self.count :]
        return np.asarray(scores.mean(axis=1), np.float32)


def variants(version: Offline) -> Mapping[str, Any]:
    """Return the segment vectors of every pooling, in the version's order."""
    models = version.models
    if isinstance(models.projector, ClipPool):
        return {"clip encoder": version.vectors}
    if not isinstance(models.projector, MeanPool):
        raise InvalidInput(
            f"Version {models.version.id} has a trained projector; build one without: "
            "spr build COLLECTION --encoder FINGERPRINT --projector none --ranker none"
        )
    rows = VideoRows.of_contexts(models.features)
    mean = cast(MeanPool, hearing(models.projector, rows))

    def embedded(pool: Pool) -> Floats:
        vectors = Retrieval.embed(rows, Pooled(mean, pool), models.device).vectors
        return np.asarray(vectors.cpu().numpy())

    def part(first: int, count: int) -> Pool:
        return lambda units: units[:, first : first + count].mean(dim=1)

    found: dict[str, Any] = {name: embedded(pool) for name, pool in POOLS.items()}
    middle = F.normalize(torch.from_numpy(np.array(frames_of(rows), np.float32)), dim=-1).mean(dim=0)
    found["mean less the mean of all frames"] = embedded(lambda units: units.mean(dim=1) - middle)
    for name, (frames, best) in MANY.items():
        starts = range(0, mean.segment_length, frames)
        found[name] = Rows(np.stack([embedded(part(start, frames)) for start in starts], axis=1), best)
    return found


def frames_of(rows: VideoRows) -> Floats:
    """Return the frames of all videos, (frames, dim)."""
    return np.concatenate([rows.read(number, FRAMES) for number in range(len(rows))])


def measured(collection: Path, split: str) -> dict[str, dict[str, float]]:
    """Return the figures of every pooling over a split's queries about what is seen."""
    version = Offline.open(collection, device="cpu")
    asked = load_queries(collection / "annotations" / f"{split}.json")
    queries = [query for query in asked if not query.asks_text]
    length = version.models.features.step(FRAMES) * version.models.version.segment_length
    figures: dict[str, dict[str, float]] = {}
    for name, vectors in variants(version).items():
        run = search_offline(replace(version, vectors=vectors), queries)
        first = {query: rows[:RECALLED] for query, rows in run[RETRIEVAL].items()}
        told = report(run | {RETRIEVAL: first}, queries, segment_length=length, samples=1)
        stages = told.whole.stages
        figures[name] = {f"SegmentRecall@{RECALLED}": told.whole.retrieval["SegmentRecall"]}
        for measure in MEASURES:
            figures[name] |= {f"{stage} {measure}": stages[stage][measure] for stage in ("coarse", "refined")}
    return figures


def main() -> None:
    """Print one row a pooling."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("collection", type=Path)
    parser.add_argument("--split", default="val", help="whose queries are asked; val decides")
    options = parser.parse_args()
    figures = measured(options.collection, options.split)
    print("| pooling | " + " | ".join(next(iter(figures.values()))) + " |")
    for name, row in figures.items():
        print(f"| {name} | " + " | ".join(f"{value:.3f}" for value in row.values()) + " |")


if __name__ == "__main__":
    main()
