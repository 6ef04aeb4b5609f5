"""ReLo's relative whose contexts know no positions: a clip's vector depends on its neighbours alone.

So it is the same in every window, a whole video is encoded in one pass, and what is stored is what was
trained. "conv" reads some clips on both sides by convolutions.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from workers.ranker.model.encodings import QueryEncoding, WindowEncoding
from workers.ranker.model.layers import Convolution, Mix, Projection
from workers.ranker.model.relo import Relo, ReloConfig

# With a shortcut the encoders start as a small correction, and the start/end logits spread by so much.
CORRECTION = 0.01
SHARPNESS = 10.0


def make_model(config: ReloConfig) -> Relo:
    """Return the untrained model that a config describes."""
    return Relo(config) if config.context_encoder == "attention" else LocalRelo(config)


class LocalRelo(Relo):
    """ReLo with a convolutional context encoder and, if the config says so, a shortcut past all encoders."""

    def __init__(self, config: ReloConfig) -> None:
        super().__init__(config)
        if config.shortcut:
            self._make_shortcut()

    def _make_context_layers(self) -> None:
        config = self.config
        h, drop = config.hidden, config.dropout
        for side, dim in (("video", config.visual_dim), ("sub", config.subtitle_dim)):
            self.add_module(f"{side}_input_proj", Projection(dim, h, config.input_dropout))
            self.add_module(f"{side}_norm", nn.LayerNorm(h))
            layers = [Convolution(h, kernel, drop) for kernel in config.kernels]
            self.add_module(f"{side}_cross", Mix(h, drop))
            self.add_module(f"{side}_layers", nn.ModuleList(layers))

    @torch.no_grad()
    def _make_shortcut(self) -> None:
        h, config = self.config.hidden, self.config
        self.video_shortcut = nn.Linear(config.visual_dim, h)
        self.sub_shortcut = nn.Linear(config.subtitle_dim, h)
        self.video_query_shortcut = nn.Linear(config.query_dim, h)
        self.sub_query_shortcut = nn.Linear(config.query_dim, h)
        self.modality = nn.Linear(config.query_dim, 2)
        self.correction = nn.Parameter(torch.full((4, h), CORRECTION))
        for name, module in self.named_children():
            if name.endswith("shortcut") and isinstance(module, nn.Linear):
                nn.init.orthogonal_(module.weight)
                nn.init.zeros_(module.bias)
        for linear in (self.video_query_linear, self.sub_query_linear):
            # Not nn.init.eye_: of a model whose shapes alone are asked for, torch would load its compiler.
            linear.weight.zero_().diagonal().fill_(SHARPNESS)
        nn.init.zeros_(self.modality.weight)
        nn.init.zeros_(self.modality.bias)

    def encode_query(self, tokens: Tensor, mask: Tensor) -> QueryEncoding:
        """Encode sentences: tokens (n, t, dim), mask (n, t) 1 = valid, t <= max_tokens.

        With a shortcut the vectors' lengths are what picture and subtitles weigh, 2 together.
        """
        pooled = super().encode_query(tokens, mask)
        if not self.config.shortcut:
            return pooled
        # The last token's state is what the encoder itself makes a sentence's vector of.
        last = tokens[torch.arange(len(tokens), device=tokens.device), mask.sum(1).long() - 1]
        weights = 2 * self.modality(last).softmax(-1)
        video = self.video_query_shortcut(last) + self.correction[0] * pooled.video
        subtitle = self.sub_query_shortcut(last) + self.correction[1] * pooled.subtitle
        return QueryEncoding(
            weights[:, :1] * F.normalize(video, dim=-1), weights[:, 1:] * F.normalize(subtitle, dim=-1)
        )

    def directions(self, query: QueryEncoding) -> QueryEncoding:
        """Return the vectors whose products with a clip's unit vectors are its similarity."""
        return query if self.config.shortcut else super().directions(query)

    def encode_context(self, video: Tensor, subtitle: Tensor, mask: Tensor) -> WindowEncoding:
        """Encode windows: video (n, l, visual_dim), subtitle (n, l, subtitle_dim), mask (n, l), of any l."""
        sides = {
            side: self._part(f"{side}_norm")(self._part(f"{side}_input_proj")(features))
            for side, features in (("video", video), ("sub", subtitle))
        }
        # One layer for each stream alone, then what each takes of the other; mid features are that.
        first = {side: self._run(side, x, mask, 0, 1) for side, x in sides.items()}
        mid = {
            side: self._part(f"{side}_cross")(first[side], first[other])
            for side, other in (("video", "sub"), ("sub", "video"))
        }
        final = {side: self._run(side, x, mask, 1, None) for side, x in mid.items()}
        if self.config.shortcut:
            final = {
                "video": self.video_shortcut(video) + self.correction[2] * final["video"],
                "sub": self.sub_shortcut(subtitle) + self.correction[3] * final["sub"],
            }
        return WindowEncoding(mid["video"], mid["sub"], final["video"], final["sub"], mask)

    def _run(self, side: str, x: Tensor, mask: Tensor, first: int, last: int | None) -> Tensor:
        layers = self._part(f"{side}_layers")
        assert isinstance(layers, nn.ModuleList)
        for layer in layers[first:last]:
            x = layer(x, mask)
        return x

    def _part(self, name: str) -> nn.Module:
        part: nn.Module = getattr(self, name)
        return part
