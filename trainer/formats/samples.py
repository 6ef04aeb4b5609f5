"""Given training samples: the proposals that the published stage 3 trains each pair with, by query and pair.

    {"pos": {query_id: {pair_id: [moment, ...]}}, "neg": {query_id: [moment, ...]}}
    moment    {"video_name", "timestamp": [start, end], ...}

A pair without an entry has no proposals; a query of the train split without one is an error.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from engine.errors import InvalidInput, NotFound
from engine.files import MALFORMED, read_json
from trainer.formats.segments import KEPT_RUNS

LARGEST = 2 << 30  # bytes; those of the published data take 0.8 GB


class Proposed(NamedTuple):
    """A proposal in seconds of a video."""

    video: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Samples:
    """Positives by query id and pair id, negatives by query id."""

    positives: Mapping[int, Mapping[int, list[Proposed]]]
    negatives: Mapping[int, list[Proposed]]

    @property
    def videos(self) -> set[str]:
        """All videos of the samples."""
        rows = [rows for pairs in self.positives.values() for rows in pairs.values()]
        return {found.video for part in (rows, self.negatives.values()) for row in part for found in row}


def load_samples(path: Path) -> Samples:
    """Read the samples of a train split; InvalidInput names what is not the format."""
    try:
        value = read_json(path, limit=LARGEST)
        positives = {
            int(query): {int(pair): _moments(rows) for pair, rows in pairs.items()}
            for query, pairs in value["pos"].items()
        }
        negatives = {int(query): _moments(rows) for query, rows in value["neg"].items()}
    except MALFORMED as error:
        raise InvalidInput(
            f"{path} holds no training samples ({error!r}); it is an object of pos and neg, by query_id."
        ) from error
    return Samples(positives, negatives)


def _moments(rows: Iterable[Mapping[str, Any]]) -> list[Proposed]:
    return [Proposed(str(row["video_name"]), *_span(row["timestamp"])) for row in rows]


def _span(timestamp: Iterable[Any]) -> tuple[float, float]:
    start, end = timestamp
    return float(start), float(end)


def kept_samples(collection: Path, top_k: int, context: float) -> Path:
    """Return the samples that came with a collection's train queries; NotFound says which there are.

    top_k: moments a query. context: seconds around a proposal.
    """
    folder = collection / KEPT_RUNS
    name = f"train_top{top_k:02d}_pos_neg_samples_context_{context:g}.json"
    if not (folder / name).is_file():
        there = ", ".join(sorted(path.name for path in folder.glob("train_*.json"))) or "none"
        raise NotFound(
            f"{folder / name} does not exist (training samples there: {there}); "
            "import a data set that has it, or retrieve samples with --set samples=mined."
        )
    return folder / name
