"""ReLo, the model that re-reads a proposal in its context (ReLoCLNet, used by arXiv 2501.05072).

A query becomes two vectors, one for the picture and one for the subtitles. A window of clips is encoded per
stream, the streams look at each other, and two more encoders give mid and final features. The query meets
them only in dot products: a relevance in [-1, 1], and a start and an end logit for every clip.

Deviation from the published code, unless `padding = "published"`: what lies behind a window's last clip is
zero before the start/end convolution, and keys there are hidden from the other stream. So logits do not
depend on how far a window was padded; in the published code those of its last two clips do.

The model has a relative that reads a context without positions: see local.py. Both share the query
branch, the heads and, if asked for, three small tables that say where in its window the proposal lies.
"""

from dataclasses import dataclass, field
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.errors import InvalidInput
from workers.ranker.model.encodings import BiasTables, QueryEncoding, QueryTensors, WindowEncoding
from workers.ranker.model.layers import Attention, Positions, Projection, SelfAttentionBlock
from workers.ranker.model.windows import WindowConfig

__all__ = ["QueryEncoding", "Relo", "ReloConfig", "WindowEncoding"]


@dataclass(frozen=True, slots=True)
class ReloConfig:
    """Sizes of the model; the defaults are those of the published run.

    head_init: "published" leaves the start/end filters random, "edge" makes them edge detectors of r.
    window: how the windows it reads are cut.
    context_encoder: "attention" is the published one; "conv" is one convolution for each of `kernels`,
    without positions, so that a clip's vector is the same in every window. It alone can have a `shortcut`:
    features and sentences meet through one linear map each, to which the encoders add, and a sentence weighs
    picture against subtitles. reach: training reads at most so many clips on both sides of a window.
    bias_reach: how many clips around a proposal's ends have a learned bias of their own; 0 for none.
    """

    visual_dim: int = 1024
    subtitle_dim: int = 768
    query_dim: int = 768
    hidden: int = 768
    heads: int = 8
    kernel: int = 5
    input_dropout: float = 0.1
    dropout: float = 0.1
    head_init: Literal["published", "edge"] = "published"
    window: WindowConfig = field(default_factory=WindowConfig)
    context_encoder: Literal["attention", "conv"] = "attention"
    reach: int = 16
    kernels: tuple[int, ...] = (5, 9)
    shortcut: bool = False
    bias_reach: int = 0

    def __post_init__(self) -> None:
        if self.heads < 1 or self.hidden < 1 or self.hidden % self.heads:
            raise InvalidInput(f"hidden is {self.hidden}; make it a multiple of heads, {self.heads}")
        if not all(kernel % 2 for kernel in (self.kernel, *self.kernels)):
            raise InvalidInput(
                f"kernel {self.kernel} and kernels {self.kernels} must be odd, so that a filter has a middle"
            )
        if self.context_encoder == "attention" and self.shortcut:
            raise InvalidInput("The published attention has no shortcut; use context_encoder conv.")

    @property
    def halo(self) -> int:
        """How many clips on each side a clip's vector depends on; 0 where it depends on its whole window."""
        return 0 if self.context_encoder == "attention" else sum(kernel // 2 for kernel in self.kernels)


class Relo(nn.Module):
    """QueryEncoding, video and subtitle branches, relevance and start/end heads."""

    start_bias: nn.Parameter
    end_bias: nn.Parameter
    outside_bias: nn.Parameter

    def __init__(self, config: ReloConfig) -> None:
        super().__init__()
        self.config = config
        h, heads, drop = config.hidden, config.heads, config.dropout
        self.query_pos_embed = Positions(config.window.max_tokens, h, drop)
        self._make_context_layers()
        self.query_input_proj = Projection(config.query_dim, h, config.input_dropout)
        self.query_encoder = SelfAttentionBlock(h, heads, drop)
        self.query_encoder1 = SelfAttentionBlock(h, heads, drop)
        self.video_query_linear = nn.Linear(h, h)
        self.sub_query_linear = nn.Linear(h, h)
        self.modular_vector_mapping = nn.Linear(h, 2, bias=False)
        self.merged_st_predictor = nn.Conv1d(1, 1, config.kernel, padding="same", bias=False)
        self.merged_ed_predictor = nn.Conv1d(1, 1, config.kernel, padding="same", bias=False)
        self.apply(_initialise)
        if config.head_init == "edge":
            self._detect_edges()
        if config.bias_reach:
            for name in BiasTables._fields:
                self.register_parameter(f"{name}_bias", nn.Parameter(torch.zeros(2 * config.bias_reach + 1)))

    def _make_context_layers(self) -> None:
        config = self.config
        h, heads, drop = config.hidden, config.heads, config.dropout
        self.ctx_pos_embed = Positions(config.window.max_clips, h, drop)
        self.video_input_proj = Projection(config.visual_dim, h, config.input_dropout)
        self.video_encoder1 = SelfAttentionBlock(h, heads, drop)
        self.video_encoder2 = SelfAttentionBlock(h, heads, drop)
        self.video_encoder3 = SelfAttentionBlock(h, heads, drop)
        self.video_cross_att = Attention(h, heads, drop)
        self.video_cross_layernorm = nn.LayerNorm(h)
        self.sub_input_proj = Projection(config.subtitle_dim, h, config.input_dropout)
        self.sub_encoder1 = SelfAttentionBlock(h, heads, drop)
        self.sub_encoder2 = SelfAttentionBlock(h, heads, drop)
        self.sub_encoder3 = SelfAttentionBlock(h, heads, drop)
        self.sub_cross_att = Attention(h, heads, drop)
        self.sub_cross_layernorm = nn.LayerNorm(h)

    @property
    def halo(self) -> int:
        """How many clips on each side a clip's vector depends on; 0 where it depends on its whole window."""
        return self.config.halo

    def encode_query(self, tokens: Tensor, mask: Tensor) -> QueryEncoding:
        """Encode sentences: tokens (n, t, dim), mask (n, t) 1 = valid, t <= max_tokens."""
        words = self.query_pos_embed(self.query_input_proj(tokens))
        words = self.query_encoder1(self.query_encoder(words, mask), mask)
        attention = self.modular_vector_mapping(words).masked_fill(mask[..., None] == 0, -1e4).softmax(1)
        pooled = attention.transpose(1, 2) @ words
        return QueryEncoding(pooled[:, 0], pooled[:, 1])

    def encode_context(self, video: Tensor, subtitle: Tensor, mask: Tensor) -> WindowEncoding:
        """Encode windows: video (n, l, visual_dim), subtitle (n, l, subtitle_dim), mask (n, l).

        l <= max_clips; 1 in the mask = a clip that is there.
        """
        seen = mask[:, None, None]
        if self.config.window.padding == "published":
            # Rows behind the end look at every key, and the convolution reads them.
            seen = seen * mask[:, None, :, None]
        v = self.video_encoder1(self.ctx_pos_embed(self.video_input_proj(video)), mask)
        s = self.sub_encoder1(self.ctx_pos_embed(self.sub_input_proj(subtitle)), mask)
        crossed_v = self.video_cross_layernorm(self.video_cross_att(v, s, seen) + v)
        crossed_s = self.sub_cross_layernorm(self.sub_cross_att(s, v, seen) + s)
        video_mid = self.video_encoder2(crossed_v, mask)
        sub_mid = self.sub_encoder2(crossed_s, mask)
        final = self.video_encoder3(video_mid, mask), self.sub_encoder3(sub_mid, mask)
        return WindowEncoding(video_mid, sub_mid, *final, mask)

    def directions(self, query: QueryEncoding) -> QueryEncoding:
        """Return the vectors whose products with a clip's unit vectors are its similarity."""
        return QueryEncoding(_unit(query.video), _unit(query.subtitle))

    def vectors(self, query: QueryEncoding) -> QueryTensors:
        """Return all that ranking against encoded clips needs of the queries."""
        linear = self.video_query_linear(query.video), self.sub_query_linear(query.subtitle)
        return QueryTensors(*self.directions(query), *linear)

    @property
    def bias(self) -> BiasTables | None:
        """The tables that say where a proposal lies, None without them."""
        return (
            BiasTables(self.start_bias, self.end_bias, self.outside_bias) if self.config.bias_reach else None
        )

    def relevance(
        self, query: QueryEncoding, context: WindowEncoding, places: Tensor | None = None
    ) -> Tensor:
        """Return how well every query fits every window's best clips: (queries, windows) in [-1, 1].

        places: (windows, 2) first and last clip of each window's proposal, needed where there is a bias.
        """
        outside = None
        if self.bias is not None and places is not None:
            outside = self.bias.outside[self._distances(context.mask.shape[1], places)[2]]
        video, subtitle = self.directions(query)
        best = _best(video, _unit(context.video), context.mask, -1.0, outside)
        return (best + _best(subtitle, _unit(context.subtitle), context.mask, -1.0, outside)) / 2

    def boundaries(
        self, query: QueryEncoding, context: WindowEncoding, places: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return start and end logits (windows, l); query i goes with window i, one query with all of them.

        Clips that are not there get the smallest number. places: as in `relevance`.
        """
        picture = _meet(self.video_query_linear(query.video), context.video)
        words = _meet(self.sub_query_linear(query.subtitle), context.subtitle)
        similarity = (picture + words) / 2
        if self.config.window.padding == "tight":
            similarity = similarity * context.mask
        heads = (self.merged_st_predictor, self.merged_ed_predictor)
        logits = [head(similarity[:, None])[:, 0] for head in heads]
        if self.bias is not None and places is not None:
            to_first, to_last, _ = self._distances(context.mask.shape[1], places)
            logits = [logits[0] + self.bias.start[to_first], logits[1] + self.bias.end[to_last]]
        absent = context.mask == 0
        start, end = (logit.masked_fill(absent, torch.finfo(similarity.dtype).min) for logit in logits)
        return start, end

    def _distances(self, width: int, places: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return table rows (windows, width) of every clip: by first, by last, by distance outside."""
        reach = self.config.bias_reach
        clips = torch.arange(width, device=places.device)
        before, after = clips - places[:, :1], clips - places[:, 1:]
        outside = before.clamp(max=0) + after.clamp(min=0)
        first, last, out = (x.clamp(-reach, reach) + reach for x in (before, after, outside))
        return first, last, out

    @torch.no_grad()
    def _detect_edges(self) -> None:
        # Start: little before, much from here on. End (inclusive): the mirror image.
        before = self.config.kernel // 2
        after = self.config.kernel - before
        edge = [-1.0 / max(before, 1)] * before + [1.0 / after] * after
        for predictor, shape in ((self.merged_st_predictor, edge), (self.merged_ed_predictor, edge[::-1])):
            predictor.weight.copy_(torch.tensor(shape).expand_as(predictor.weight))


def _unit(x: Tensor) -> Tensor:
    return F.normalize(x, dim=-1)


def _best(
    queries: Tensor, features: Tensor, mask: Tensor, floor: float, bias: Tensor | None = None
) -> Tensor:
    """Return the largest dot product over valid clips: (q, h), (n, l, h) -> (q, n); `floor` without any."""
    similarity = torch.einsum("qh,nlh->qnl", queries, features)
    if bias is not None:
        similarity = similarity + bias
    return similarity.masked_fill(mask[None] == 0, floor).amax(-1)


def _meet(queries: Tensor, features: Tensor) -> Tensor:
    return (features @ queries[..., None])[..., 0]


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=0.02)
    if isinstance(module, nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)
