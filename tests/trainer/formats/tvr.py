"""A tiny data set in the published layout, features of several widths, written with h5py."""

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np

FRAMES, I3D, SPOKEN = 16, 20, 24
VIDEOS = {
    "show_a_clip_00": 21.0,
    "show_a_clip_01": 40.3,
    "show_a_clip_02": 12.02,
    "show_b_clip_00": 33.5,
    "show_b_clip_01": 8.0,
    "zoo": 26.9,
}
LAYOUT = {
    "clip": "TVR/CLIP_feature/CLIP-ViT-L-14.hdf5",
    "queries": "TVR/TVR-Ranking/q_feats/all_queries/CLIP-ViT-L-14.hdf5",
    "tokens": "TVR/TVR_feature/bert_feature/query_tvrr/query_bert.h5",
    "video": "TVR/TVR_feature/video_feature/tvr_i3d_rgb600_avg_cl-1.5.h5",
    "subtitles": "TVR/TVR_feature/bert_feature/sub_query/tvr_sub_pretrained_w_sub_query_max_cl-1.5.h5",
    "annotations": "TVR/TVR-Ranking/ori_anno",
    "segments": "TVR/TVR-Ranking/seg_anno",
    "segment_features": "TVR/TVR-Ranking/seg_feats",
    "coarse": "TVR/TVR-Ranking/coarse_pred",
}


def frames_of(seconds: float) -> int:
    return int(np.ceil(seconds))


def write_layout(root: Path, *, optional: bool = False, seed: int = 0) -> Path:
    """Write what an import needs; with `optional` also what it may have."""
    rng = np.random.default_rng(seed)
    frames = {name: rows(rng, frames_of(seconds), FRAMES) for name, seconds in VIDEOS.items()}
    # A frame more, a frame less than the duration says.
    frames["zoo"] = rows(rng, 28, FRAMES)
    frames["show_a_clip_01"] = rows(rng, 40, FRAMES)
    clips = {name: frames_of(seconds / 1.5) for name, seconds in VIDEOS.items()}
    spoken = {name: rows(rng, count, SPOKEN) for name, count in clips.items()}
    spoken["zoo"][3:7] = 0
    h5(root / LAYOUT["clip"], frames)
    h5(root / LAYOUT["video"], {name: rows(rng, n, I3D) for name, n in {**clips, "not_in_corpus": 4}.items()})
    masks = {f"{name}-mask": np.ones(count, np.float32) for name, count in clips.items()}
    h5(root / LAYOUT["subtitles"], {**spoken, **masks})
    dump(root / LAYOUT["annotations"] / "video_corpus_sorted.json", VIDEOS)
    splits = {"train_top40": (0, 6), "val": (6, 3), "test": (9, 3)}
    train: list[dict[str, Any]] = []
    for name, (first, count) in splits.items():
        entries = [query(rng, first + row, judged=name != "train_top40") for row in range(count)]
        train = train or entries
        flat = [
            {"query_id": entry["query_id"], "query": entry["query"], **moment}
            for entry in entries
            for moment in entry["relevant_moment"]
        ]
        dump(root / LAYOUT["annotations"] / f"{name}.json", flat if name == "val" else entries)
    ids = [str(number) for number in range(14)]
    h5(root / LAYOUT["queries"], {name: rows(rng, 1, FRAMES)[0] for name in ids})
    h5(root / LAYOUT["tokens"], {name: rows(rng, int(rng.integers(3, 40)), SPOKEN) for name in ids})
    if optional:
        write_optional(root, rng, {name: len(array) for name, array in frames.items()}, train)
    return root


def write_optional(
    root: Path, rng: np.random.Generator, frames: dict[str, int], train: list[dict[str, Any]]
) -> None:
    counts = {name: -(-count // 4) for name, count in frames.items()}
    dump(root / LAYOUT["segments"] / "vidlen_seg_4s.json", counts)
    (root / LAYOUT["segment_features"]).mkdir(parents=True)
    for name, count in counts.items():
        np.save(root / LAYOUT["segment_features"] / f"{name}.npy", rows(rng, count, FRAMES))
    given = {"video_name": "zoo", "segment_idx": 1, "duration": 26.9, "score": 0.75}
    for name, first, count in (("train_top40", 0, 6), ("val", 6, 3)):
        judged = {**given, "relevance": 2.5} if name == "val" else given
        entries = [
            {"query_id": number, "query": f"sentence {number}", "relevant_segment": [judged]}
            for number in range(first, first + count)
        ]
        dump(root / LAYOUT["segments"] / f"{name}_seg_4s.json", entries)
    proposal = {"timestamp": [0, 8], "video_name": "zoo"}
    coarse = {str(number): [{**proposal, "moment_rank": 0}] for number in range(6, 9)}
    dump(root / LAYOUT["coarse"] / "val_coarse_proposals.json", coarse)
    shown = {entry["query_id"]: entry["relevant_moment"][0]["video_name"] for entry in train}
    samples = {
        "pos": {str(n): {"0": [{**proposal, "video_name": shown[n]}]} for n in range(6)},
        "neg": {str(n): [proposal] for n in range(6)},
    }
    dump(root / LAYOUT["coarse"] / "train_top40_pos_neg_samples_context_8.json", samples)


def query(rng: np.random.Generator, number: int, judged: bool) -> dict[str, Any]:
    moments = []
    for pair, name in enumerate(rng.choice(sorted(VIDEOS), 4, replace=False).tolist()):
        start = round(float(rng.uniform(0, VIDEOS[name] - 6)), 2)
        moment = {
            "pair_id": pair,
            "video_name": name,
            "timestamp": [start, start + 5],
            "duration": VIDEOS[name],
            "caption": f"caption {pair}",
            "similarity": round(float(rng.uniform(0.3, 1)), 3),
        }
        if judged:
            moment["relevance"] = [4, 2.5, 0, 1][pair]
        moments.append(moment)
    return {"query_id": number, "query": f"sentence {number}", "relevant_moment": moments}


def rows(rng: np.random.Generator, count: int, width: int) -> Any:
    return rng.normal(size=(count, width)).astype(np.float32)


def h5(path: Path, arrays: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[name] = array


def read_h5(path: Path) -> dict[str, Any]:
    with h5py.File(path) as file:
        return {name: value[()] for name, value in file.items()}


def dump(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def change(path: Path, name: str, array: Any) -> None:
    """Replace (or with None remove) one array of an HDF5 file."""
    with h5py.File(path, "a") as file:
        if name in file:
            del file[name]
        if array is not None:
            file[name] = array
