"""Readers of other people's JSON: annotations, moments, runs, samples, durations."""

import json
from pathlib import Path
from typing import Any

from tests.fuzz.targets import Target, each, of_file
from trainer.collection.annotations import load_corpus, load_queries
from trainer.evaluation.runfile import load_about, load_run, truth_of
from trainer.formats.durations import lengths
from trainer.formats.layout import Layout
from trainer.formats.moments import load_moments, load_predictions
from trainer.formats.samples import load_samples
from trainer.formats.segments import load_segments
from trainer.formats.sidecar import load_records, read_sidecar
from trainer.formats.verify import _check_once

MOMENT = {
    "pair_id": 1,
    "video_name": "v",
    "duration": 9.5,
    "timestamp": [1.0, 2],
    "caption": "a ball",
    "similarity": 0.5,
    "relevance": 3,
}
QUERY = {"query_id": 1, "query": "a ball", "slice": ["a", "b"], "relevant_moment": [MOMENT]}
MOMENTS = {
    "qid": 7,
    "query": "a ball",
    "vid": "v",
    "duration": 10.0,
    "relevant_windows": [[0, 4], [6, 8.5]],
    "relevant_clip_ids": [0, 1, 3],
    "saliency_scores": [[1, 2, 3], [2, 2, 2], [4, 4, 4]],
}
PREDICTED = {"qid": "7", "vid": "v", "pred_relevant_windows": [[0, 4, 0.5], [5, 7.5, 1e-3]]}
ROW = {"video_name": "v", "timestamp": [0, 4], "score": 0.5, "moment_rank": 0, "confidence": 0.25}
RUN = {"stages": {"coarse": {"7": [ROW, {**ROW, "moment_rank": 1}]}, "refined": {"7": []}}}
ABOUT = {"queries": {"file": "/nowhere", "sha256": "0"}, "stages": {}}
SAMPLES = {"pos": {"7": {"1": [ROW]}}, "neg": {"7": [ROW]}}
SEGMENT = {"video_name": "v", "segment_idx": 3, "score": 0.5, "relevance": 2}
RECORD = {"id": "v", "uri": "file:///v", "sha256": "", "duration": 3.5, "info": {}, "streams": {"frames": 4}}
SIDECAR = {
    "format": 1,
    "encoder": "0123456789abcdef",
    "name": "n",
    "source": "s",
    "dtype": "float16",
    "streams": {"frames": {"dim": 4, "step": 1.0}},
    "files": {"clip": "frames"},
}


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


def _lines(*values: Any) -> bytes:
    return b"".join(_json(value) + b"\n" for value in values)


def _runs(path: Path) -> None:
    load_run(path)
    each(lambda: load_about(path), lambda: truth_of(path))


def _sidecar(path: Path) -> None:
    (path.parent / "spr.json").write_bytes(path.read_bytes())
    read_sidecar(Layout(path.parent))


TARGETS: list[Target] = [
    of_file("queries.json", load_queries, _json([QUERY]), _json([{**MOMENT, "query_id": 1, "query": "q"}])),
    of_file("corpus.json", load_corpus, _json({"a": 1.5, "b": 20})),
    of_file(
        "moments.jsonl", load_moments, _lines(MOMENTS), _lines({**MOMENTS, "saliency_scores": [1, 2, 3]})
    ),
    of_file("predictions.jsonl", load_predictions, _lines(PREDICTED)),
    of_file("run.json", _runs, _json(RUN), _json(RUN["stages"]["coarse"]), _json(ABOUT)),
    of_file("samples.json", load_samples, _json(SAMPLES)),
    of_file("segments.json", load_segments, _json([{"query_id": 7, "relevant_segment": [SEGMENT]}])),
    of_file("records.jsonl", load_records, _lines(RECORD, {**RECORD, "id": "w"})),
    of_file("sidecar.json", _sidecar, _json(SIDECAR)),
    of_file("durations.json", lambda path: lengths(path, 1.0, 0), _json({"a": 1.5, "b": [20.0, 3]})),
    of_file("names.json", _check_once, _json({"a": 3, "b": 4})),
]
