"""What goes into the two trainings and into a search, against what the published loaders gave."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engine import merge
from engine.temporal import suppress
from engine.types import Hits
from tests import numeric
from tests.workers.ranker import golden
from tests.workers.ranker.scoring.test_relo_ranker import published_contexts
from trainer.collection.annotations import JudgedQuery, load_queries
from trainer.collection.segment_samples import SegmentSample
from trainer.formats.samples import load_samples
from trainer.projector.data import Segments, load_segments, pairs_from
from trainer.projector.optimisation import parameter_groups, schedule
from trainer.ranker.data import TrainingData, label, pairs_of
from trainer.ranker.given import given
from workers.feature_store.store import FeatureStore, Stream
from workers.ranker.model.windows import WindowConfig, token_batch, unit
from workers.ranker.projection.projector import Projector, ProjectorConfig
from workers.ranker.scoring.decode import DecodeConfig
from workers.ranker.scoring.evidence import best_spans

PROJECTOR = Path(__file__).parents[1] / "golden" / "projector"
PAIRS = json.loads((PROJECTOR / "pairs.json").read_text())
REFINED = golden.values("refine_data")
VIDEOS = sorted(REFINED["corpus"])


@pytest.fixture
def inputs() -> dict[str, Any]:
    with np.load(PROJECTOR / "inputs.npz") as stored:
        return dict(stored)


@pytest.fixture
def segments(inputs: dict[str, Any], tmp_path: Path) -> Segments:
    """Return the recorded videos, stored and loaded as a training does."""
    frames = {name[7:]: rows for name, rows in inputs.items() if name.startswith("frames/")}
    with FeatureStore.create(tmp_path / "s", {"frames": Stream(16, 1.0)}, "float32") as store:
        for video, rows in frames.items():
            store.append(video, {"frames": rows})
    return load_segments(store, store.ids(), 4)


def test_segments_of_videos(segments: Segments, inputs: dict[str, Any]) -> None:
    names = [f"{video}_{n}" for video, (_, count) in segments.first.items() for n in range(count)]
    assert names == PAIRS["corpus_segment_list"]
    for video, (first, count) in segments.first.items():
        found = segments.inputs(slice(first, first + count), torch.device("cpu"))
        np.testing.assert_array_equal(found.numpy(), inputs[f"corpus_{video}"])


def test_training_pairs(segments: Segments, inputs: dict[str, Any]) -> None:
    rows = [
        [
            SegmentSample(s["video_name"], s["segment_idx"], s["score"], None)
            for s in query["relevant_segment"]
        ]
        for query in PAIRS["annotations"]
    ]
    pairs = pairs_from(rows, segments, 0.3)
    ids = [query["query_id"] for query in PAIRS["annotations"]]
    names = PAIRS["corpus_segment_list"]
    found = {
        (ids[q], names[s]): score for q, s, score in zip(pairs.query, pairs.segment, pairs.score, strict=True)
    }
    samples = [(s["query_id"], f"{s['video_name']}_{s['segment_idx']}") for s in PAIRS["samples"]]
    assert found == {key: s["score"] for key, s in zip(samples, PAIRS["samples"], strict=True)}
    assert [name for _, name in samples] == PAIRS["segment_names"]
    by_query = {str(q): {name: value for (query, name), value in found.items() if query == q} for q in ids}
    assert by_query == PAIRS["score_dict"]
    # A batch in the recorded order reads what the published loader read.
    order = [names.index(name) for _, name in samples]
    batch = segments.inputs(slice(None), torch.device("cpu"))[order]
    np.testing.assert_array_equal(batch.numpy(), inputs["train_frame_feat_seq"])
    queries = np.stack([inputs[f"query/{query}"] for query, _ in samples])
    np.testing.assert_array_equal(queries, inputs["train_query_feat"])


def test_projector_groups_and_rates() -> None:
    stored = json.loads((PROJECTOR / "schedule.json").read_text())
    with torch.device("meta"):
        projector = Projector(ProjectorConfig())
    names = {id(parameter): name for name, parameter in projector.named_parameters()}
    groups = parameter_groups(projector)
    for group, wanted in zip(groups, stored["groups"], strict=True):
        assert sorted(names[id(parameter)] for parameter in group) == sorted(wanted["params"])
    for step, wanted in stored["rates"].items():
        factor = schedule(int(step), stored["steps"], 0.05)
        assert [5e-6 * factor, 5e-4 * factor, 5e-4 * factor] == pytest.approx(wanted, rel=1e-9, abs=1e-15)


def test_recorded_cases_are_small() -> None:
    assert sum(path.stat().st_size for path in PROJECTOR.parent.rglob("*") if path.is_file()) < 1_000_000


def test_padding_and_its_mask() -> None:
    stored = golden.arrays("utils")
    parts = np.split(stored["in/pad_flat"], np.cumsum(stored["in/pad_lengths"])[:-1])
    rows, mask = token_batch(parts, WindowConfig())
    # The published helper pads to a given length, a batch here to its longest.
    longest = rows.shape[1]
    np.testing.assert_array_equal(mask, stored["out/pad_mask"][:, :longest])
    assert not stored["out/pad_mask"][:, longest:].any()
    numeric.close(rows, unit(stored["out/pad"][:, :longest]))


@pytest.mark.parametrize("case", ["1_16", "2_16", "0_4"])
def test_lengths_of_spans(case: str) -> None:
    allowed = golden.arrays("utils")[f"out/lenmask_{case}"][0]
    shortest, longest = map(int, case.split("_"))
    # Published lengths are counted between the clips, and the longest is left out: 1 and 16 are 2..16 clips.
    config = DecodeConfig(min_span=shortest + 1, max_span=longest)
    size = len(allowed)
    start, end = np.divmod(np.arange(size * size), size)
    # Only one start and one end are likely; any other span is a thousand times less so.
    certain = np.where(np.eye(size, dtype=bool), 1000.0, 0.0).astype(np.float32)
    logits = torch.from_numpy(certain[start]), torch.from_numpy(certain[end])
    clips = torch.full((size * size,), size)
    first, last, *_ = best_spans(*logits, clips, config.min_span, config.max_span)
    hit = (first.numpy() == start) & (last.numpy() == end)
    np.testing.assert_array_equal(hit.reshape(size, size), allowed > 0)


def test_the_largest_of_a_map() -> None:
    stored = golden.arrays("utils")
    (table,) = stored["in/topk"]
    rows, columns = (index.ravel().astype(np.int32) for index in np.indices(table.shape))
    found = merge.top_k([Hits(rows, columns, table.ravel())], 3)
    np.testing.assert_array_equal(found.scores, stored["out/topk_values"])
    wanted = stored["out/topk_indices"]
    np.testing.assert_array_equal(np.stack([found.videos, found.segments], 1), wanted[:, 1:])


def test_overlapping_moments() -> None:
    case = json.loads((PROJECTOR.parent / "ndcg.json").read_text())["temporal_nms"]
    rows = np.array(sorted(case["input"], key=lambda row: -row[2]))
    kept = suppress(np.zeros(len(rows), np.int32), rows[:, :2], case["threshold"])
    assert rows[kept].tolist() == case["output"]


@pytest.fixture
def judged(tmp_path: Path) -> list[JudgedQuery]:
    """Return the recorded training queries; the published run trained on these moments."""
    (tmp_path / "train.json").write_text(json.dumps(REFINED["val"]))
    return load_queries(tmp_path / "train.json")


@pytest.fixture
def training(judged: list[JudgedQuery], tmp_path: Path) -> TrainingData:
    """Return the recorded training data: features, moments and given samples."""
    (tmp_path / "samples.json").write_text(json.dumps(REFINED["samples"]))
    contexts, window = published_contexts(), WindowConfig(padding="published")
    ordinals = {video: ordinal for ordinal, video in enumerate(VIDEOS)}
    pairs = pairs_of(judged, ordinals, -1.0)
    samples = load_samples(tmp_path / "samples.json")
    mined, wrong = given(samples, pairs, judged, ordinals, contexts, window)
    tokens = [golden.arrays("refine_data")[f"query/{query.query_id}"] for query in judged]
    return TrainingData(contexts, pairs, mined, wrong, tokens, window, 4.0, by_similarity=True)


def test_rows_of_given_samples(training: TrainingData, judged: list[JudgedQuery]) -> None:
    pairs = training.pairs
    rows = {
        (str(judged[query].query_id), pair): row
        for row, (query, pair) in enumerate(zip(pairs.query.tolist(), pairs.pair.tolist(), strict=True))
    }
    counts = np.diff(training.mined.offsets)
    seen = 0
    for wanted in REFINED["expected"]["train_rows_ctx8"]:
        row = rows[wanted["query_id"], wanted["pair_id"]]
        # A sample that does not show its moment has no label; the published code makes one up.
        first, last = wanted["moment_indices_in_new_video"]
        begin, end = wanted["moment_timestamp_in_new_video"]
        sound = end > begin
        assert counts[row] == (wanted["in_pos"] and sound)
        assert VIDEOS[pairs.video[row]] == wanted["video_name"]
        assert pairs.moments[row].tolist() == wanted["timestamp"]
        if not counts[row]:
            continue
        own = training.mined.spans[training.mined.offsets[row]][None]
        windows, labels = label(np.array([row]), own, pairs, training.contexts, training.window)
        assert [windows.first[0], windows.last[0]] == wanted["new_video_indices_in_old_video"]
        assert [windows.lengths[0], 20] == wanted["video_shape"]
        assert windows.origins[0] == wanted["new_video_timestamp"][0]
        assert [labels.first[0], labels.last[0]] == [first, last]
        seen += 1
    assert seen >= 10


def test_shapes_of_a_batch(training: TrainingData) -> None:
    shapes = REFINED["expected"]["train_batch_shapes"]
    # Pairs 0..3 are of the first query, of five tokens, as in the recorded batch.
    batch = training.batch(np.arange(4), (0, 0), torch.device("cpu"))
    assert [list(batch.tokens.shape), list(batch.token_mask.shape)] == shapes["query_feat"]
    assert [list(batch.windows.video.shape), list(batch.windows.mask.shape)] == shapes["video_feat"]
    assert [list(batch.windows.subtitles.shape), list(batch.windows.mask.shape)] == shapes["sub_feat"]
    targets = batch.targets
    assert list(targets.clips.shape) == shapes["st_ed_indices"]
    assert list(targets.foreground.shape) == shapes["match_labels"]
    assert list(targets.positives.shape) == shapes["query_context_pos_mask"]
    assert list(targets.weights.shape) == shapes["simi"]
    wrong = batch.wrong
    assert wrong is not None
    assert list(wrong.mask.shape) == [4, 128]
