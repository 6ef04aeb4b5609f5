"""Recorded models in float64: what the tolerance of float32 could hide.

A float64 run has no rounding to speak of, so its distance from the recording is the recording's own rounding,
the same on every machine. It is held far tighter than float32 runs can be.
"""

import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests import numeric
from tests.parity.rule import state_by_rule
from tests.workers.ranker import golden
from trainer.projector.losses import LOSSES
from workers.ranker.model.relo import Relo, ReloConfig
from workers.ranker.model.windows import WindowConfig
from workers.ranker.projection.projector import Projector, ProjectorConfig

FOLDER = Path(__file__).parents[1] / "golden" / "projector"
# The rounding of the recordings: at most this share of a tensor's largest value, and of a gradient's.
RECORDED = 2e-6
RECORDED_GRADIENT = 2e-6
Arrays = dict[str, NDArray[Any]]
Tensors = dict[str, torch.Tensor]


def arrays(path: Path) -> Arrays:
    with np.load(path) as stored:
        return dict(stored)


def tensors(stored: Arrays, dtype: torch.dtype) -> Tensors:
    """Return what a case gives to its model, floats in that precision."""
    found = {name: torch.from_numpy(values) for name, values in stored.items() if name.startswith("in")}
    return {name: value.to(dtype) if value.is_floating_point() else value for name, value in found.items()}


def projected(projector: Projector, text: torch.Tensor, visual: torch.Tensor) -> Tensors:
    queries, segments = projector.queries(text), projector.segments(visual)
    return {"query": queries, "segment": segments, "logits": projector.logits(queries, segments)}


def small_projector(kind: Any, dtype: torch.dtype) -> Projector:
    projector = Projector(ProjectorConfig(128, kind, layers=2, heads=2, positions=8))
    projector.load_state_dict(state_by_rule(projector, 0.06))
    return projector.to(dtype)


def ended_early(projector: Projector, stored: Arrays, dtype: torch.dtype) -> torch.Tensor:
    """Return the segments of which the recording hides the last frames."""
    frames, lengths = tensors(stored, dtype)["in/visual"], stored["in/mask_partial"].sum(axis=1)
    return torch.cat([projector.segments(one[None, :n]) for one, n in zip(frames, lengths, strict=True)])


def ranked(model: Relo, given: Tensors) -> Tensors:
    """Return what a recording may hold of one forward."""
    query = model.encode_query(given["in/query_feat"], given["in/query_mask"])
    context = model.encode_context(given["in/video_feat"], given["in/sub_feat"], given["in/video_mask"])
    starts, ends = model.boundaries(query, context)
    return {
        "video_query": query.video,
        "sub_query": query.subtitle,
        "q2c": model.relevance(query, context),
        "video_mid": context.video_mid,
        "sub_mid": context.subtitle_mid,
        "video_final": context.video,
        "sub_final": context.subtitle,
        "st": starts,
        "ed": ends,
    }


def check(double: Tensors, single: Tensors, wanted: Arrays) -> None:
    """Compare a float64 run with its recording and with the float32 run."""
    for name, values in wanted.items():
        assert double[name].dtype == torch.float64
        assert single[name].dtype == torch.float32
        numeric.close(double[name], values, RECORDED, name=name)
        numeric.close(single[name], double[name], name=name)


@pytest.mark.parametrize("kind", ["seqTransf", "seqLSTM", "meanP"])
def test_small_projectors(kind: Literal["seqTransf", "seqLSTM", "meanP"]) -> None:
    stored = arrays(FOLDER / "stage1_small.npz")
    runs = []
    for dtype in (torch.float64, torch.float32):
        given, projector = tensors(stored, dtype), small_projector(kind, dtype)
        runs.append(projected(projector, given["in/text"], given["in/visual"]))
        runs[-1]["segment_partial_mask"] = ended_early(projector, stored, dtype)
    check(runs[0], runs[1], {name: stored[f"out/{kind}/{name}"] for name in runs[0]})


@pytest.mark.parametrize(
    ("file", "prefix"), [("seqtransf_768.npz", ""), ("stage1_full.npz", "/")], ids=["768", "full"]
)
def test_projectors_of_the_published_size(file: str, prefix: str, request: pytest.FixtureRequest) -> None:
    folder, std = FOLDER, 0.03
    if prefix:
        folder = request.getfixturevalue("recorded")
        std = json.loads((folder / "stage1_full_weights.json").read_text())["std"]
    stored, join = arrays(folder / file), prefix or "_"
    with torch.device("meta"):
        projector = Projector(ProjectorConfig())
    projector.load_state_dict(state_by_rule(projector, std), assign=True)
    runs = []
    for dtype in (torch.float32, torch.float64):
        given = tensors(stored, dtype)
        with torch.inference_mode():
            runs.append(projected(projector.to(dtype), given[f"in{join}text"], given[f"in{join}visual"]))
    check(runs[1], runs[0], {name: stored[f"out{join}{name}"] for name in ("query", "segment", "logits")})


def check_logits(double: Tensors, single: Tensors, wanted: Arrays, mask: NDArray[Any]) -> None:
    """Compare what is valid, clear of padding; what stands beside it hangs on the rounding of float32."""
    clear, _ = golden.places(mask)[0]
    for name, values in wanted.items():
        numeric.close(double[name], values, RECORDED, where=clear, name=name)
        numeric.close(single[name], double[name], where=clear, name=name)


def test_the_small_ranker() -> None:
    stored = golden.arrays("reloclnet_small")
    double, single = (
        ranked(golden.relo().to(dtype), tensors(stored, dtype)) for dtype in (torch.float64, torch.float32)
    )
    check(double, single, {"q2c": stored["out/cross_q2c"], "video_query": stored["out/video_query"]})
    check(double, single, {"sub_query": stored["out/sub_query"]})
    of_clips = {name: stored[f"out/{name}"] for name in ("video_mid", "sub_mid", "video_final", "sub_final")}
    logits = {name: stored[f"out/paired_{name}_logits"] for name in ("st", "ed")}
    check_logits(double, single, {**of_clips, **logits}, stored["in/video_mask"])


def test_the_ranker_of_the_published_size(recorded: Path) -> None:
    stored = arrays(recorded / "reloclnet_full.npz")
    std = json.loads((recorded / "reloclnet_full_weights.json").read_text())["std"]
    model = Relo(ReloConfig(dropout=0.0, input_dropout=0.0, window=WindowConfig(padding="published"))).eval()
    model.load_state_dict(state_by_rule(model, std))
    with torch.inference_mode():
        single = ranked(model, tensors(stored, torch.float32))
        double = ranked(model.double(), tensors(stored, torch.float64))
    check(double, single, {"q2c": stored["out/q2c"]})
    logits = {name: stored[f"out/{name}_logits"][0] for name in ("st", "ed")}
    check_logits(double, single, logits, stored["in/video_mask"])


def gradients(stored: Arrays, dtype: torch.dtype) -> Tensors:
    """Return the gradients of the recorded small projector's loss, as many values as were recorded."""
    given, projector = tensors(stored, dtype), small_projector("seqTransf", dtype)
    found = projected(projector, given["in/text"], given["in/visual"])
    LOSSES["milnce"](found["logits"][:, :5], given["in/score"][:, :5]).backward()  # type: ignore[no-untyped-call]
    named = {name: value.grad for name, value in projector.named_parameters() if value.grad is not None}
    return {name: value.flatten()[:: max(1, value.numel() // 256)] for name, value in named.items()}


def test_gradients_of_the_small_projector() -> None:
    stored = arrays(FOLDER / "stage1_small.npz")
    double, single = (gradients(stored, dtype) for dtype in (torch.float64, torch.float32))
    assert {f"grad/{name}" for name in double} == {name for name in stored if name.startswith("grad/")}
    for name, gradient in double.items():
        numeric.close(gradient, stored[f"grad/{name}"], RECORDED_GRADIENT, name=name)
        numeric.close(single[name], gradient, numeric.GRADIENT, name=name)
