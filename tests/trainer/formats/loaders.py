"""The files of a data set as the published code reads them: which keys, in which order, with what asserted.

Written from the description of that code, on json, h5py and NumPy alone: nothing of our importer is used, so
that an export which only our importer can read is found out. Missing keys raise, as they do there.
"""

import json
import math
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
MAX_CLIPS, MAX_TOKENS = 128, 30


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Data:
    """The folder that holds TVR/. clip: seconds a row of the clip files, as their names say it."""

    root: Path
    arch: str = "CLIP-ViT-L-14"
    clip: str = "1.5"
    length: int = 4

    @property
    def ranking(self) -> Path:
        return self.root / "TVR" / "TVR-Ranking"

    @property
    def frames(self) -> Path:
        return self.root / "TVR" / "CLIP_feature" / f"{self.arch}.hdf5"

    @property
    def queries(self) -> Path:
        return self.ranking / "q_feats" / "all_queries" / f"{self.arch}.hdf5"

    @property
    def feature(self) -> Path:
        return self.root / "TVR" / "TVR_feature"

    def segments(self, name: str) -> Any:
        return read(self.ranking / "seg_anno" / f"{name}_seg_{self.length}s.json")


def segment(frames: Array, index: int, length: int) -> tuple[Array, Array]:
    """Return a segment's frames, the last repeated up to `length`, and a mask of ones."""
    rows = frames[index * length : min((index + 1) * length, len(frames))]
    assert len(rows) > 0
    rows = np.concatenate([rows, np.repeat(rows[-1:], length - len(rows), axis=0)])
    return rows, np.ones(length)


def stage1_train(data: Data, threshold: float = 0.3) -> dict[str, Any]:
    """Return one batch of all samples: frames, masks, queries and the matrix of scores."""
    samples: list[tuple[int, str, int, str]] = []
    scores: dict[int, dict[str, float]] = {}
    for entry in data.segments("train_top40"):
        for one in entry["relevant_segment"]:
            if one["score"] >= threshold:
                name = f"{one['video_name']}_{one['segment_idx']}"
                samples.append((entry["query_id"], one["video_name"], one["segment_idx"], name))
                scores.setdefault(entry["query_id"], {})[name] = one["score"]
    with h5py.File(data.frames) as frames, h5py.File(data.queries) as queries:
        made = [segment(frames[video][:], index, data.length) for _, video, index, _ in samples]
        texts = [queries[str(query)][:] for query, *_ in samples]
    matrix = [[scores[a[0]].get(b[3], 0) for b in samples] for a in samples]
    return {
        "frames": np.stack([rows for rows, _ in made]),
        "masks": np.stack([mask for _, mask in made]),
        "queries": np.stack(texts),
        "scores": np.array(matrix),
    }


def corpus(data: Data) -> dict[str, Array]:
    """Return every video's segments, in the order of the corpus."""
    counts, found = data.segments("vidlen"), {}
    with h5py.File(data.frames) as frames:
        for video in counts:
            rows = frames[video][:]
            assert (counts[video] - 1) * data.length < len(rows) <= counts[video] * data.length
            found[video] = np.stack([segment(rows, n, data.length)[0] for n in range(counts[video])])
    return found


def stage1_truth(data: Data, split: str) -> dict[int, set[str]]:
    """Return the names of every judged query's relevant segments."""
    return {
        entry["query_id"]: {
            f"{one['video_name']}_{one['segment_idx']}"
            for one in entry["relevant_segment"]
            if one["relevance"] > 0
        }
        for entry in data.segments(split)
    }


def stage2(data: Data) -> tuple[Array, list[tuple[str, int]]]:
    """Return all segment vectors and the (video, segment) that each place in the index is taken for.

    Three files are sorted by name, each for itself: that they agree is what makes the places right.
    """
    annotated = read(data.ranking / "seg_anno" / f"vidlen_seg_{data.length}s.json")
    vectors = [np.load(data.ranking / "seg_feats" / f"{video}.npy") for video in sorted(annotated)]
    counts = [annotated[video] for video in sorted(annotated)]
    names = sorted(read(data.ranking / "ori_anno" / "video_corpus_sorted.json"))
    places = [(names[video], n) for video, count in enumerate(counts) for n in range(count)]
    return np.concatenate(vectors), places


def window(span: list[float], duration: float, rows: int, step: float, context: float) -> tuple[int, int]:
    begin, end = max(0, span[0] - context), min(span[1] + context, duration)
    return min(math.floor(begin / step), rows), min(math.ceil(end / step), rows)


def clips(data: Data, video: str, span: list[float], duration: float, context: float) -> dict[str, Any]:
    """Return the clips of a window, padded to 128, and its mask."""
    step = float(data.clip)
    visual = data.feature / "video_feature" / f"tvr_i3d_rgb600_avg_cl-{data.clip}.h5"
    spoken = (
        data.feature / "bert_feature" / "sub_query" / f"tvr_sub_pretrained_w_sub_query_max_cl-{data.clip}.h5"
    )
    with h5py.File(visual) as file, h5py.File(spoken) as text:
        first, last = window(span, duration, len(file[video]), step, context)
        parts = [source[video][first:last] for source in (file, text)]
    assert len(parts[0]) == len(parts[1]) <= MAX_CLIPS
    padded = [np.pad(part, ((0, MAX_CLIPS - len(part)), (0, 0))) for part in parts]
    mask = (np.arange(MAX_CLIPS) < len(parts[0])).astype(np.float32)
    return {"video": padded[0], "sub": padded[1], "mask": mask, "rows": (first, last)}


def tokens(data: Data, query: int) -> Array:
    with h5py.File(data.feature / "bert_feature" / "query_tvrr" / "query_bert.h5") as file:
        found: Array = file[str(query)][:][:MAX_TOKENS]
    return found


def stage3_train(data: Data, context: int = 8) -> list[dict[str, Any]]:
    """Return a row a (query, moment): window, tokens and labels."""
    path = data.ranking / "coarse_pred" / f"train_top40_pos_neg_samples_context_{context}.json"
    assert str(context) in path.name
    given, step, rows = read(path), float(data.clip), []
    positives, negatives = given["pos"], given["neg"]
    for query in read(data.ranking / "ori_anno" / "train_top40.json"):
        own = positives[str(query["query_id"])]
        for moment in query["relevant_moment"]:
            start, end = moment["timestamp"]
            if str(moment["pair_id"]) in own:
                chosen = random.Random(0).choice(own[str(moment["pair_id"])])
                assert chosen["video_name"] == moment["video_name"]
                span = chosen["timestamp"]
            else:
                span = [math.floor(start / 4) * 4, math.ceil(end / 4) * 4]
            row = clips(data, moment["video_name"], span, moment["duration"], context)
            first, last = row["rows"]
            inside = [min(max(t, first * step), last * step) - first * step for t in (start, end)]
            cap = min(last - first, MAX_CLIPS)
            labels = min(math.floor(inside[0] / step), cap), min(math.ceil(inside[1] / step), cap) - 1
            rows.append({**row, "tokens": tokens(data, query["query_id"]), "labels": labels, "cap": cap})
            assert isinstance(moment["caption"], str)
            assert isinstance(moment["similarity"], float)
        for wrong in negatives[str(query["query_id"])][:2]:
            clips(data, wrong["video_name"], wrong["timestamp"], wrong["timestamp"][1], context)
    return rows


def stage3_eval(data: Data, split: str, context: int = 8) -> dict[int, list[dict[str, Any]]]:
    """Return the windows of every judged query's coarse predictions, in the order of the file."""
    durations = read(data.ranking / "ori_anno" / "video_corpus_sorted.json")
    coarse = read(data.ranking / "coarse_pred" / f"{split}_coarse_proposals.json")
    return {
        query["query_id"]: [
            clips(data, one["video_name"], one["timestamp"], durations[one["video_name"]], context)
            for one in coarse[str(query["query_id"])]
        ]
        for query in read(data.ranking / "ori_anno" / f"{split}.json")
    }
