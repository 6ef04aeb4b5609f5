"""The projectors: published outputs, a plain numpy oracle, segments' featurisation, zero-shot."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from engine.errors import InvalidInput
from tests import numeric
from tests.parity.rule import state_by_rule
from workers.ranker.projection.projector import KIND, MeanPool, Projector, ProjectorConfig, load_projector
from workers.ranker.projection.segments import segment_inputs, video_rows
from workers.ranker.stores.checkpoint import save_model

GOLDEN = Path(__file__).parents[3] / "golden" / "projector"
SMALL = {
    "seqTransf": ProjectorConfig(8, "seqTransf", layers=2, heads=2, positions=5, segment_length=3),
    "seqLSTM": ProjectorConfig(8, "seqLSTM", positions=5, segment_length=3),
    "meanP": ProjectorConfig(8, "meanP", positions=5, segment_length=3),
}


def test_published_outputs() -> None:
    """Recorded from the published model (d = 768, 6 layers) with weights made by rule from names."""
    golden = np.load(GOLDEN / "seqtransf_768.npz")
    with torch.device("meta"):
        projector = Projector(ProjectorConfig())
    state = state_by_rule(projector, 0.03)
    assert (len(state), sum(value.numel() for value in state.values())) == (78, 43_732_993)
    projector.load_state_dict(state, assign=True)
    with torch.no_grad():
        queries = projector.queries(torch.from_numpy(golden["in_text"]))
        segments = projector.segments(torch.from_numpy(golden["in_visual"]))
        logits = projector.logits(queries, segments)
    numeric.close(queries, golden["out_query"])
    numeric.close(segments, golden["out_segment"])
    numeric.close(logits, golden["out_logits"])


@pytest.mark.parametrize("kind", SMALL)
def test_segments_equal_the_formulas(kind: str) -> None:
    config = SMALL[kind]
    projector = small(config)
    frames = torch.randn(4, 3, 8)
    weights = {name: value.double().numpy() for name, value in projector.state_dict().items()}
    x = frames.double().numpy()
    read = transformer(x, weights) if kind == "seqTransf" else lstm(x, weights) if kind == "seqLSTM" else x
    unit = read / np.linalg.norm(read, axis=-1, keepdims=True)
    expected = unit.mean(1) @ weights["temp_proj.weight"].T + weights["temp_proj.bias"]
    with torch.no_grad():
        numeric.close(projector.segments(frames), expected)


@pytest.mark.parametrize("kind", SMALL)
def test_what_is_said_adds_a_linear_map_of_its_mean_unit_row(kind: str) -> None:
    projector = small(replace(SMALL[kind], subtitles=True))
    plain = Projector(SMALL[kind])
    plain.load_state_dict(
        {name: value for name, value in projector.state_dict().items() if name != "subtitle_proj.weight"}
    )
    frames, said = torch.randn(4, 3, 8), torch.randn(4, 3, 8)
    said[0] = 0.0
    said[1, 2] = 0.0
    rows = said.double().numpy()
    unit = rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-12)
    weight = projector.subtitle_proj.weight.detach().double().numpy()
    with torch.no_grad():
        found, seen = projector.segments(torch.cat([frames, said], dim=-1)), plain.segments(frames)
    numeric.close(found, seen.double().numpy() + unit.mean(1) @ weight.T)
    assert torch.equal(found[0], seen[0])


@pytest.mark.parametrize("kind", ["seqTransf", "seqLSTM"])
def test_frames_around_are_read_but_not_averaged(kind: str) -> None:
    projector = small(replace(SMALL[kind], around=1))
    weights = {name: value.double().numpy() for name, value in projector.state_dict().items()}
    frames = torch.randn(4, 5, 8)
    x = frames.double().numpy()
    read = (transformer(x, weights) if kind == "seqTransf" else lstm(x, weights))[:, 1:4]
    unit = read / np.linalg.norm(read, axis=-1, keepdims=True)
    with torch.no_grad():
        found = projector.segments(frames)
    numeric.close(found, unit.mean(1) @ weights["temp_proj.weight"].T + weights["temp_proj.bias"])


def test_rows_of_streams_stand_side_by_side() -> None:
    rng = np.random.default_rng(0)
    for said in (3, 5, 9):
        streams = {"frames": rng.random((5, 2)), "subtitles": rng.random((said, 2))}
        expected = [
            [*streams["frames"][row], *(streams["subtitles"][row] if row < said else (0.0, 0.0))]
            for row in range(5)
        ]
        assert video_rows(("frames", "subtitles"), streams.__getitem__).tolist() == expected
        assert video_rows(("frames",), streams.__getitem__) is streams["frames"]


@pytest.mark.parametrize(("kind", "tensors", "values"), [("meanP", 5, 1_181_185), ("seqLSTM", 10, 5_930_497)])
def test_published_parameters_of_variants(kind: Any, tensors: int, values: int) -> None:
    with torch.device("meta"):
        state = Projector(ProjectorConfig(type=kind)).state_dict()
    assert (len(state), sum(value.numel() for value in state.values())) == (tensors, values)


def test_projections_can_be_left_out() -> None:
    config = ProjectorConfig(8, "meanP", positions=5, query_proj=False, temp_proj=False)
    projector = Projector(config)
    frames, texts = torch.randn(2, 4, 8), torch.randn(3, 8)
    assert torch.equal(projector.segments(frames), MeanPool().segments(frames))
    assert torch.equal(projector.queries(texts), MeanPool().queries(texts))
    assert list(projector.state_dict()) == ["pt_clip_logit_scale"]


def test_mean_pool_is_the_mean_of_unit_frames() -> None:
    frames = torch.tensor([[[3.0, 0.0], [0.0, 2.0]]])
    numeric.close(MeanPool(2).segments(frames), np.array([[0.5, 0.5]]))


def test_mean_pooling_adds_what_is_said_less_what_all_speech_shares() -> None:
    said = [np.array([[0, 3], [0, 0], [0, 1]], np.float16), np.array([[2, 0], [0, 0]], np.float16)]
    hearing = MeanPool(2).hearing(said)
    assert hearing.streams == ("frames", "subtitles")
    mean = np.array([1, 2]) / (3 + 16)
    inputs = torch.tensor([[[4.0, 0, 0, 5], [0, 2, 0, 0]], [[4.0, 0, 0, 0], [0, 2, 0, 0]]])
    spoken = (np.array([0, 1]) - mean) / 2
    numeric.close(hearing.segments(inputs), np.array([0.5 + spoken, [0.5, 0.5]]))
    numeric.close(hearing.queries(inputs[0]), inputs[0].numpy())


@pytest.mark.parametrize("said", [[], [np.zeros((3, 2), np.float16)]])
def test_where_nobody_speaks_mean_pooling_reads_frames_alone(said: list[Any]) -> None:
    assert MeanPool(2).hearing(said).streams == ("frames",)


def test_last_segment_repeats_the_last_row() -> None:
    frames = np.arange(10.0).reshape(5, 2)
    expected = frames[[[0, 1, 2], [3, 4, 4]]]
    assert np.array_equal(segment_inputs(frames, 3), expected)
    assert np.array_equal(segment_inputs(torch.from_numpy(frames), 3).numpy(), expected)
    assert segment_inputs(frames[:0], 3).shape == (0, 3, 2)
    assert np.array_equal(
        segment_inputs(frames, 3, 2), frames[[[0, 0, 0, 1, 2, 3, 4], [1, 2, 3, 4, 4, 4, 4]]]
    )
    assert segment_inputs(frames[:0], 3, 2).shape == (0, 7, 2)
    assert np.array_equal(segment_inputs(frames[:1], 4), frames[[[0, 0, 0, 0]]])


def test_round_trip_on_disk(tmp_path: Path) -> None:
    projector = small(SMALL["seqTransf"])
    save_model(tmp_path, KIND, projector.config, projector.state_dict())
    loaded = load_projector(tmp_path)
    frames = torch.randn(2, 3, 8)
    with torch.no_grad():
        assert torch.equal(loaded.segments(frames), projector.eval().segments(frames))
    assert not any(parameter.requires_grad for parameter in loaded.parameters())
    save_model(tmp_path, KIND, SMALL["meanP"], projector.state_dict())
    with pytest.raises(InvalidInput, match="do not fit its config"):
        load_projector(tmp_path)


def test_impossible_shapes_are_refused() -> None:
    with pytest.raises(InvalidInput, match="cannot have 3 heads"):
        ProjectorConfig(8, heads=3)
    with pytest.raises(InvalidInput, match="do not fit 2 positions"):
        ProjectorConfig(8, heads=2, positions=2)
    with pytest.raises(InvalidInput, match="and 15 around do not fit 32 positions"):
        ProjectorConfig(8, heads=2, around=15)
    with pytest.raises(InvalidInput, match="cannot read -1 frames around"):
        ProjectorConfig(8, heads=2, around=-1)


def small(config: ProjectorConfig) -> Projector:
    torch.manual_seed(3)
    projector = Projector(config)
    with torch.no_grad():
        for parameter in projector.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return projector


def transformer(x: NDArray[Any], w: dict[str, NDArray[Any]]) -> NDArray[Any]:
    h = x + w["frame_position_embeddings.weight"][: x.shape[1]]
    for layer in range(2):
        p = {
            name.split(f"resblocks.{layer}.")[1]: value
            for name, value in w.items()
            if f"resblocks.{layer}." in name
        }
        y = norm(h, p["ln_1.weight"], p["ln_1.bias"])
        q, k, v = np.split(y @ p["attn.in_proj_weight"].T + p["attn.in_proj_bias"], 3, axis=-1)
        heads = []
        for part in np.split(np.arange(8), 2):
            logits = q[..., part] @ k[..., part].transpose(0, 2, 1) / 2.0
            attention = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
            heads.append(attention @ v[..., part])
        h = h + np.concatenate(heads, -1) @ p["attn.out_proj.weight"].T + p["attn.out_proj.bias"]
        z = norm(h, p["ln_2.weight"], p["ln_2.bias"]) @ p["mlp.c_fc.weight"].T + p["mlp.c_fc.bias"]
        h = h + (z / (1 + np.exp(-1.702 * z))) @ p["mlp.c_proj.weight"].T + p["mlp.c_proj.bias"]
    return np.asarray(h + x)


def lstm(x: NDArray[Any], w: dict[str, NDArray[Any]]) -> NDArray[Any]:
    h = c = np.zeros((len(x), 8))
    states = []
    for frame in x.transpose(1, 0, 2):
        gates = frame @ w["seq_lstm.weight_ih_l0"].T + w["seq_lstm.bias_ih_l0"]
        gates = gates + h @ w["seq_lstm.weight_hh_l0"].T + w["seq_lstm.bias_hh_l0"]
        i, f, g, o = np.split(gates, 4, axis=-1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        states.append(h)
    return np.asarray(np.stack(states, 1) + x)


def sigmoid(z: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(1 / (1 + np.exp(-z)))


def norm(x: NDArray[Any], weight: NDArray[Any], bias: NDArray[Any]) -> NDArray[Any]:
    deviation = np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    return np.asarray((x - x.mean(-1, keepdims=True)) / deviation * weight + bias)
