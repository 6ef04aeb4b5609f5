"""The ranker's relative without positions: what a clip's vector may depend on."""

import pytest
import torch

from engine.errors import InvalidInput
from tests import numeric
from workers.ranker.model.encodings import QueryEncoding, WindowEncoding
from workers.ranker.model.local import LocalRelo, make_model
from workers.ranker.model.relo import Relo, ReloConfig

TINY = ReloConfig(visual_dim=6, subtitle_dim=5, query_dim=4, hidden=8, heads=2, reach=2, kernels=(3, 5))


def tiny(encoder: str, shortcut: bool = False, bias_reach: int = 0) -> Relo:
    torch.manual_seed(0)
    values = {name: getattr(TINY, name) for name in ("visual_dim", "subtitle_dim", "query_dim", "hidden")}
    sizes = {"heads": 2, "reach": 2, "kernels": (3, 5), "context_encoder": encoder, "shortcut": shortcut}
    return make_model(ReloConfig(**values, **sizes, bias_reach=bias_reach)).eval()  # type: ignore[arg-type]


def inputs(n: int, length: int) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    return torch.randn(n, length, 6), torch.randn(n, length, 5)


@pytest.mark.parametrize("shortcut", [False, True])
def test_a_video_gives_the_clips_of_its_windows_away_from_their_edges(shortcut: bool) -> None:
    model, halo = tiny("conv", shortcut), 3
    assert isinstance(model, LocalRelo)
    assert model.halo == halo
    video, subtitle = (rows[0] for rows in inputs(1, 60))
    passed = model.encode_context(video[None], subtitle[None], torch.ones(1, 60))
    whole = passed.video[0], passed.subtitle[0]
    window = model.encode_context(video[None, 10:50], subtitle[None, 10:50], torch.ones(1, 40))
    for found, wanted in zip(whole, (window.video, window.subtitle), strict=True):
        numeric.close(found[10 + halo : 50 - halo], wanted[0, halo:-halo])
        assert numeric.deviation(found[10], wanted[0, 0]) > 1e-3
    start = model.encode_context(video[None, :40], subtitle[None, :40], torch.ones(1, 40))
    numeric.close(whole[0][: 40 - halo], start.video[0, : 40 - halo])


def test_padding_and_what_lies_in_it_are_not_seen() -> None:
    model = tiny("conv")
    video, subtitle = inputs(2, 12)
    mask = torch.ones(2, 12)
    mask[1, 7:] = 0
    padded = model.encode_context(video, subtitle, mask)
    alone = model.encode_context(video[1:, :7], subtitle[1:, :7], mask[1:, :7])
    numeric.close(padded.video[1:, :7], alone.video)
    numeric.close(padded.subtitle_mid[1:, :7], alone.subtitle_mid)


def test_a_shortcut_weighs_picture_against_subtitles() -> None:
    model = tiny("conv", shortcut=True)
    query = model.encode_query(torch.randn(3, 5, 4), torch.ones(3, 5))
    lengths = query.video.norm(dim=-1) + query.subtitle.norm(dim=-1)
    numeric.close(lengths, torch.full((3,), 2.0))
    context = model.encode_context(*inputs(2, 6), torch.ones(2, 6))
    assert model.relevance(query, context).abs().max().item() <= 1
    numeric.close(model.vectors(query).unit_video, query.video)


def test_tables_know_where_the_proposal_lies() -> None:
    model = tiny("conv", bias_reach=2)
    with torch.no_grad():
        model.start_bias.copy_(torch.tensor([1.0, 2, 3, 4, 5]))
        model.end_bias.copy_(torch.tensor([-1.0, -2, -3, -4, -5]))
        model.outside_bias.copy_(torch.tensor([10.0, 20, 0, 30, 40]))
    query, places = QueryEncoding(torch.zeros(1, 8), torch.zeros(1, 8)), torch.tensor([[3, 5]])
    with torch.no_grad():
        for linear in (model.video_query_linear, model.sub_query_linear):
            linear.bias.zero_()
    nothing = torch.zeros(1, 9, 8)
    context = WindowEncoding(nothing, nothing, nothing, nothing, torch.ones(1, 9))
    starts, ends = model.boundaries(query, context, places)
    assert starts[0].tolist() == [1, 1, 2, 3, 4, 5, 5, 5, 5]
    assert ends[0].tolist() == [-1, -1, -1, -1, -2, -3, -4, -5, -5]
    # Two clips or more behind the proposal weigh most.
    assert model.relevance(query, context, places).detach().item() == 40
    context = context._replace(mask=torch.tensor([[1.0, 1, 1, 1, 1, 1, 0, 0, 0]]))
    assert model.relevance(query, context, places).detach().item() == 20
    assert model.relevance(query, context).detach().item() == 0


def test_a_config_chooses_the_model() -> None:
    assert type(make_model(TINY)) is Relo
    assert isinstance(tiny("conv"), LocalRelo)
    with pytest.raises(InvalidInput, match="shortcut"):
        tiny("attention", shortcut=True)
    with pytest.raises(InvalidInput, match="odd"):
        ReloConfig(kernels=(4,))
