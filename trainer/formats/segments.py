"""Given segment annotations: (query, segment) pairs with scores, in the published `seg_anno` form.

A collection keeps them in annotations/seg_anno, under their published names; training takes their scores, and
segment recall their relevance, in place of those that follow from the moments. Proposals that came with them
are in annotations/coarse_pred. Both belong to the judged queries they came with, and go when others come.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from engine.errors import InvalidInput
from engine.files import MALFORMED, read_json
from trainer.collection.annotations import JudgedQuery
from trainer.collection.segment_samples import SegmentSample, segment_samples

KEPT = Path("annotations/seg_anno")
KEPT_RUNS = Path("annotations/coarse_pred")


def segment_file(split: str, top_k: int, length: float) -> str:
    """Return the published name of a split's file; top_k: moments a training query."""
    head = f"train_top{top_k:02d}" if split == "train" else split
    return f"{head}_seg_{length:g}s.json"


def forget_given(collection: Path, split: str) -> None:
    """Remove what was kept beside a split's queries, before other queries take their place."""
    for folder in (KEPT, KEPT_RUNS):
        for path in (collection / folder).glob(f"{split}_*.json"):
            path.unlink()


def load_segments(path: Path) -> dict[int, list[SegmentSample]]:
    """Return the segments of every query by its id; InvalidInput names what is not the format."""
    try:
        return {
            int(entry["query_id"]): [_sample(segment) for segment in entry["relevant_segment"]]
            for entry in read_json(path)
        }
    except MALFORMED as error:
        raise InvalidInput(
            f"{path} is no segment annotation ({error!r}); it is a list of query_id and relevant_segment."
        ) from error


def _sample(entry: Mapping[str, Any]) -> SegmentSample:
    relevance = entry.get("relevance")
    grade = None if relevance is None else float(relevance)
    return SegmentSample(str(entry["video_name"]), int(entry["segment_idx"]), float(entry["score"]), grade)


def samples_of(
    collection: Path, split: str, queries: Sequence[JudgedQuery], top_k: int, length: float
) -> list[list[SegmentSample]]:
    """Return the segments of a split's queries: the given ones if kept, else those that follow."""
    path = collection / KEPT / segment_file(split, top_k, length)
    if not path.is_file():
        return segment_samples(queries, length)
    given = load_segments(path)
    return [_once(given.get(query.query_id, [])) for query in queries]


def segments_beside(truth: Path, length: float) -> dict[int, list[SegmentSample]] | None:
    """Return the segments given with judged queries, by query id; None where none of `length` s came along.

    truth: a split's queries in a collection or in the published layout (`seg_anno` beside `ori_anno`).
    """
    for folder in (truth.parent / KEPT.name, truth.parent.parent / KEPT.name):
        path = folder / segment_file(truth.stem, 0, length)
        if truth.stem in ("val", "test") and path.is_file():
            return {query_id: _once(rows) for query_id, rows in load_segments(path).items()}
    return None


def _once(samples: Sequence[SegmentSample]) -> list[SegmentSample]:
    """Return the samples by video and segment; of one given twice the last, as the published loader does."""
    by_place = {sample[:2]: sample for sample in samples}
    return [by_place[place] for place in sorted(by_place)]


def segment_entries(
    queries: Sequence[JudgedQuery], length: float, durations: Mapping[str, float]
) -> list[dict[str, Any]]:
    """Return the published form of the segments that follow from the moments, one entry a query."""
    return [
        {
            "query_id": query.query_id,
            "query": query.query,
            "relevant_segment": [_entry(sample, durations) for sample in samples],
        }
        for query, samples in zip(queries, segment_samples(queries, length), strict=True)
    ]


def _entry(sample: SegmentSample, durations: Mapping[str, float]) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "video_name": sample.video,
        "segment_idx": sample.segment,
        "duration": durations.get(sample.video, 0.0),
        "score": sample.score,
    }
    if sample.relevance is not None:
        entry["relevance"] = sample.relevance
    return entry
