from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from engine.errors import InvalidInput
from tests import numeric
from tests.workers.ranker import golden
from workers.ranker.model.encodings import QueryEncoding, WindowEncoding
from workers.ranker.model.relo import Relo, ReloConfig
from workers.ranker.model.windows import WindowConfig

TINY = ReloConfig(visual_dim=6, subtitle_dim=5, query_dim=4, hidden=8, heads=2, window=WindowConfig())


@pytest.fixture(scope="module")
def stored() -> dict[str, NDArray[Any]]:
    return golden.arrays("reloclnet_small")


def tensor(stored: dict[str, NDArray[Any]], name: str) -> torch.Tensor:
    return torch.from_numpy(stored[name])


def encode(model: Relo, stored: dict[str, NDArray[Any]]) -> tuple[QueryEncoding, WindowEncoding]:
    query = model.encode_query(tensor(stored, "in/query_feat"), tensor(stored, "in/query_mask"))
    video, subtitle = (tensor(stored, f"in/{name}_feat") for name in ("video", "sub"))
    return query, model.encode_context(video, subtitle, tensor(stored, "in/video_mask"))


def test_every_intermediate_is_the_published_one(stored: dict[str, NDArray[Any]]) -> None:
    model = golden.relo()
    first: dict[str, torch.Tensor] = {}
    for name in ("video", "sub"):
        model.get_submodule(f"{name}_encoder1").register_forward_hook(
            lambda module, args, out, name=name: first.__setitem__(name, out)
        )
    query, context = encode(model, stored)
    valid = stored["in/video_mask"] > 0
    for name, found in {
        "video_query": query.video,
        "sub_query": query.subtitle,
        "cross_q2c": model.relevance(query, context),
        "paired_q2c": model.relevance(query, context),
    }.items():
        numeric.close(found, stored[f"out/{name}"])
    for name, found in {
        "video_enc1": first["video"],
        "sub_enc1": first["sub"],
        "video_mid": context.video_mid,
        "sub_mid": context.subtitle_mid,
        "video_final": context.video,
        "sub_final": context.subtitle,
    }.items():
        numeric.close(found, stored[f"out/{name}"], where=valid)


def test_boundaries_are_the_published_ones(stored: dict[str, NDArray[Any]]) -> None:
    model = golden.relo()
    query, context = encode(model, stored)
    for where, within in golden.places(stored["in/video_mask"]):
        for name, found in zip(("st", "ed"), model.boundaries(query, context), strict=True):
            numeric.close(found, stored[f"out/paired_{name}_logits"], within, where=where)
        for row in range(len(where)):
            one = QueryEncoding(query.video[row : row + 1], query.subtitle[row : row + 1])
            for name, found in zip(("st", "ed"), model.boundaries(one, context), strict=True):
                numeric.close(found, stored[f"out/cross_{name}_logits"][row], within, where=where)


@pytest.mark.parametrize("length", [14, 16, 22, 128])
@pytest.mark.parametrize("padding", ["published", "tight"])
def test_only_published_padding_reaches_the_logits(
    stored: dict[str, NDArray[Any]], length: int, padding: str
) -> None:
    row = int(np.flatnonzero(stored["in/video_mask"].sum(1) == 14)[0])
    model = golden.relo(padding)
    query = model.encode_query(
        tensor(stored, "in/query_feat")[row : row + 1], tensor(stored, "in/query_mask")[row : row + 1]
    )
    mask = (torch.arange(length) < 14).float()[None]
    streams = []
    for name in ("video", "sub"):
        features = tensor(stored, f"in/{name}_feat")[row : row + 1, :14]
        streams.append(torch.nn.functional.pad(features, (0, 0, 0, length - 14)))
    context = model.encode_context(streams[0], streams[1], mask)
    recorded = f"padlen{length if padding == 'published' else 14}"
    numeric.close(model.relevance(query, context), stored[f"out/{recorded}_q2c"])
    for name, found in zip(("st", "ed"), model.boundaries(query, context), strict=True):
        for where, within in golden.places(mask.numpy()):
            wanted = stored[f"out/{recorded}_{name}"][0][:, :14]
            numeric.close(found[:, :14], wanted, within, where=where[:, :14])


def test_a_window_without_clips_stays_a_number() -> None:
    model = Relo(TINY).eval()
    query = model.encode_query(torch.randn(1, 3, 4), torch.ones(1, 3))
    context = model.encode_context(torch.zeros(2, 4, 6), torch.zeros(2, 4, 5), torch.zeros(2, 4))
    np.testing.assert_array_equal(model.relevance(query, context).detach().numpy(), [[-1.0, -1.0]])
    assert all(torch.isfinite(logits).all() for logits in model.boundaries(query, context))


def test_parameters_are_those_of_published_checkpoints() -> None:
    published = Relo(ReloConfig())
    assert sum(parameter.numel() for parameter in published.parameters()) == 25_738_506
    assert len(published.state_dict()) == 121
    assert sum(p.numel() for p in Relo(ReloConfig(hidden=384)).parameters()) == 6_973_578


def test_edge_heads_answer_to_edges() -> None:
    model = Relo(ReloConfig(visual_dim=6, subtitle_dim=5, hidden=8, heads=2, head_init="edge"))
    step = torch.tensor([0.0, 0, 0, 1, 1, 1, 1, 0, 0, 0])[None, None]
    assert int(model.merged_st_predictor(step)[0, 0].argmax()) == 3
    assert int(model.merged_ed_predictor(step)[0, 0].argmax()) == 6


def test_sizes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InvalidInput, match="multiple of heads"):
        ReloConfig(hidden=10, heads=4)
    with pytest.raises(InvalidInput, match="odd"):
        ReloConfig(kernel=4)
