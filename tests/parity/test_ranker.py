"""Stage 3: a published checkpoint imported, against what the published model and its inference gave."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests import numeric
from tests.parity import files
from tests.parity.rule import by_rule, state_by_rule
from tests.workers.ranker import golden
from tests.workers.ranker.queries import of_tokens, rank
from tests.workers.ranker.scoring.test_relo_ranker import published_contexts
from trainer.evaluation.judged import Judgements, Ranking
from trainer.evaluation.matching import SPR
from trainer.evaluation.measures import NDCG
from trainer.evaluation.scores import evaluate
from trainer.formats.checkpoints import Choices, read_checkpoint
from trainer.formats.keeping import keep
from trainer.ranker.labels import clip_labels
from trainer.ranker.mining import around
from workers.ranker.model.relo import Relo, ReloConfig
from workers.ranker.model.windows import WindowConfig, arrange, cut
from workers.ranker.scoring.relo_ranker import ReloRanker
from workers.ranker.stores.features import FRAMES, SUBTITLES

CONFIG = golden.values("reloclnet_small_config")["config"]
REFINED = golden.values("refine_data")
VIDEOS = sorted(REFINED["corpus"])


def imported(folder: Path, context: float = 8.0) -> ReloRanker:
    """Write the recorded small model as best_model.pt, import it, and open what came of it."""
    path = files.stage3(folder / "best_model.pt", golden.relo().state_dict(), CONFIG)
    choices = Choices(context=context, video_stream=FRAMES, subtitle_stream=SUBTITLES)
    keep(read_checkpoint(path, choices), folder / "model")
    return ReloRanker.open(folder / "model")


def test_an_imported_checkpoint_gives_the_published_outputs(tmp_path: Path) -> None:
    model, stored = imported(tmp_path).model, golden.arrays("reloclnet_small")
    assert (model.config.heads, model.config.window.padding) == (4, "published")
    inputs = {name: torch.from_numpy(array) for name, array in stored.items() if name.startswith("in/")}
    query = model.encode_query(inputs["in/query_feat"], inputs["in/query_mask"])
    context = model.encode_context(inputs["in/video_feat"], inputs["in/sub_feat"], inputs["in/video_mask"])
    numeric.close(query.video, stored["out/video_query"])
    numeric.close(query.subtitle, stored["out/sub_query"])
    valid = stored["in/video_mask"] > 0
    for name, features in (("mid", context[:2]), ("final", context[2:4])):
        for side, values in zip(("video", "sub"), features, strict=True):
            numeric.close(values, stored[f"out/{side}_{name}"], where=valid)
    numeric.close(model.relevance(query, context), stored["out/cross_q2c"])
    for name, logits in zip(("st", "ed"), model.boundaries(query, context), strict=True):
        for where, within in golden.places(stored["in/video_mask"]):
            numeric.close(logits, stored[f"out/paired_{name}_logits"], within, where=where)


@pytest.mark.parametrize("context", [0, 4, 8])
def test_an_imported_checkpoint_ranks_as_published(tmp_path: Path, context: int) -> None:
    ranker, contexts = imported(tmp_path, float(context)), published_contexts()
    for query, proposals in REFINED["proposals"].items():
        asked = of_tokens(
            golden.arrays("refine_data")[f"query/{query}"],
            np.array([VIDEOS.index(proposal["video_name"]) for proposal in proposals], np.int32),
            np.array([proposal["timestamp"] for proposal in proposals], float),
        )
        columns = rank(ranker, asked, contexts)
        wanted = REFINED["expected"]["results"][f"ctx{context}"]["pred"][query]
        # Windows too short for a span have a score of 0 there, and keep their proposal here.
        wanted = [moment for moment in wanted if moment["model_scores"] > 0]
        order = np.argsort(-columns.scores, kind="stable")
        order = order[columns.refined[order]]
        assert [moment["video_name"] for moment in wanted] == [proposals[row]["video_name"] for row in order]
        numeric.close(columns.spans[order], [m["timestamp"] for m in wanted])


@pytest.mark.parametrize("context", [0, 4, 8])
def test_recorded_moments_measure_as_published(context: int) -> None:
    result = REFINED["expected"]["results"][f"ctx{context}"]
    truth, run = {}, {}
    for query in REFINED["val"]:
        moments = query["relevant_moment"]
        spans = ranking(moments)
        grades = np.array([moment["relevance"] for moment in moments], np.float64)
        truth[query["query_id"]] = Judgements(spans.videos, spans.spans, grades)
        run[query["query_id"]] = ranking(result["pred"][str(query["query_id"])])
    found = evaluate(run, truth, protocol=SPR, absent="skip")
    for k, values in result["ndcg"].items():
        for iou, value in values.items():
            assert found[str(NDCG(int(k), float(iou)))] == pytest.approx(value, abs=1e-9)


def ranking(moments: list[dict[str, Any]]) -> Ranking:
    return Ranking.of([moment["video_name"] for moment in moments], [m["timestamp"] for m in moments])


def test_windows_of_proposals() -> None:
    contexts, config = published_contexts(), WindowConfig()
    for item in REFINED["expected"]["eval_items_ctx8"]:
        proposals = REFINED["proposals"][str(item["query_id"])]
        windows = cut(
            np.array([VIDEOS.index(proposal["video_name"]) for proposal in proposals], np.int32),
            np.array([proposal["timestamp"] for proposal in proposals], float),
            contexts,
            config,
        )
        rows = item["new_video_indices_in_old_video"]
        np.testing.assert_array_equal(np.stack([windows.first, windows.last], axis=1), rows)
        numeric.close(windows.steps, item["clip_length"], numeric.FLOAT64)
        numeric.close(windows.origins, [span[0] for span in item["new_video_timestamp"]], numeric.FLOAT64)


def test_windows_and_labels_of_training_rows() -> None:
    contexts, config = published_contexts(), WindowConfig()
    for row in REFINED["expected"]["train_rows_ctx8"]:
        video = np.array([VIDEOS.index(row["video_name"])], np.int32)
        moment = np.array([row["timestamp"]], float)
        # Without a mined proposal the moment itself is widened, by 0 or 1 segment on each side at random.
        draws = (around(moment, np.array([row["duration"]]), 4.0, Draw(a, b)) for a in (0, 1) for b in (0, 1))
        options = [cut(video, span, contexts, config) for span in draws]
        wanted = row["new_video_indices_in_old_video"]
        same = [w for w in options if [int(w.first[0]), int(w.last[0])] == wanted]
        assert same or row["in_pos"]
        if not same:
            begin, end = wanted[0] * 1.5, wanted[1] * 1.5
            bare = WindowConfig(context=0.0)
            length = np.array([row["new_video_clip_len"] + wanted[0]])
            same = [arrange(video, np.array([[begin, end]]), np.array([np.inf]), length, bare)]
        labels = clip_labels(same[0], moment, 1.5)
        assert same[0].origins[0] == row["new_video_timestamp"][0]
        assert same[0].lengths[0] == row["new_video_clip_len"]
        assert [int(labels.first[0]), int(labels.last[0])] == row["moment_indices_in_new_video"]


class Draw(np.random.Generator):
    """Draws what it is told."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__(np.random.PCG64(0))
        self.values = np.array([[before, after]])

    def integers(self, *args: Any, **kwargs: Any) -> Any:
        return self.values


def test_the_published_size(recorded: Path) -> None:
    weights = json.loads((recorded / "reloclnet_full_weights.json").read_text())
    with np.load(recorded / "reloclnet_full.npz") as arrays:
        stored = dict(arrays)
    model = Relo(ReloConfig(dropout=0.0, input_dropout=0.0, window=WindowConfig(padding="published"))).eval()
    state = state_by_rule(model, weights["std"])
    for name, told in weights["params"].items():
        values = by_rule(name, tuple(told["shape"]), weights["std"]).astype(np.float64)
        numeric.close(values.sum(), told["sum"], 1e-6, name=name)
        numeric.close(np.abs(values).sum(), told["abssum"], 1e-6, name=name)
    model.load_state_dict(state)
    inputs = {name: torch.from_numpy(array) for name, array in stored.items() if name.startswith("in/")}
    with torch.inference_mode():
        query = model.encode_query(inputs["in/query_feat"], inputs["in/query_mask"])
        context = model.encode_context(
            inputs["in/video_feat"], inputs["in/sub_feat"], inputs["in/video_mask"]
        )
        starts, ends = model.boundaries(query, context)
        relevance = model.relevance(query, context)
    numeric.close(relevance, stored["out/q2c"])
    for where, within in golden.places(stored["in/video_mask"]):
        numeric.close(starts, stored["out/st_logits"][0], within, where=where)
        numeric.close(ends, stored["out/ed_logits"][0], within, where=where)
    numeric.close(context.video[:, :3], stored["out/video_final_first3"])
    numeric.close(context.subtitle[:, :3], stored["out/sub_final_first3"])
