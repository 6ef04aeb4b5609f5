"""Stage 1: two small projectors on frozen features, one for queries and one for segments of video.

After the published model (arXiv 2501.05072); parameters carry its names, so that the state of a published
checkpoint loads as it is. `MeanPool` is the same two methods without any parameter, for zero-shot search.
What a segment's input is, says `workers.ranker.projection.segments`.
"""

import math
from collections.abc import Container, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional as F

from engine.errors import InvalidInput
from workers.ranker.stores.checkpoint import load_config, load_model
from workers.ranker.stores.features import CLIPS, FRAMES, SEGMENT, SUBTITLES

KIND = "projector"
# An upper bound for untrusted configs, far above what is trained.
MAX_LAYERS = 64
_FEW_ROWS = 16


@dataclass(frozen=True, slots=True)
class ProjectorConfig:
    """A projector's shape; the defaults are the published one's.

    dim: width of the encoder's features. type: what reads a segment's frames before the mean: a transformer,
    an LSTM, or nothing. positions: rows of the position table. segment_length: frames (seconds) a segment.
    subtitles: whether what is said is added to what is seen. around: frames on both sides of a segment that
    its own frames see, and whose subtitles count as its own.
    """

    dim: int = 768
    type: Literal["seqTransf", "seqLSTM", "meanP"] = "seqTransf"
    layers: int = 6
    heads: int = 12
    positions: int = 32
    query_proj: bool = True
    temp_proj: bool = True
    segment_length: int = 4
    subtitles: bool = False
    around: int = 0

    def __post_init__(self) -> None:
        if self.type == "seqTransf" and (self.heads < 1 or self.dim % self.heads):
            raise InvalidInput(
                f"A projector of dim {self.dim} cannot have {self.heads} heads; use a divisor of it."
            )
        if not 0 <= self.layers <= MAX_LAYERS:
            raise InvalidInput(f"A projector cannot have {self.layers} layers; use 0 to {MAX_LAYERS}.")
        if self.around < 0:
            raise InvalidInput(
                f"A projector cannot read {self.around} frames around a segment; use 0 or more."
            )
        if not 1 <= self.segment_length <= self.frames_read <= self.positions:
            raise InvalidInput(
                f"Segments of {self.segment_length} frames and {self.around} around do not fit "
                f"{self.positions} positions; raise it."
            )

    @property
    def frames_read(self) -> int:
        """Frames of a segment's input: its own, and those around it."""
        return self.segment_length + 2 * self.around

    @property
    def streams(self) -> tuple[str, ...]:
        """The feature streams whose rows stand side by side in a segment's input."""
        return (FRAMES, SUBTITLES) if self.subtitles else (FRAMES,)


class Block(nn.Module):
    """A pre-norm transformer block in CLIP's style."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.attn = nn.MultiheadAttention(dim, heads, batch_first=True)
        self.ln_1 = nn.LayerNorm(dim)
        self.mlp = nn.ModuleDict({"c_fc": nn.Linear(dim, 4 * dim), "c_proj": nn.Linear(4 * dim, dim)})
        self.ln_2 = nn.LayerNorm(dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, frames, dim) -> (n, frames, dim)."""
        y = self.ln_1(x)
        x = x + self.attn(y, y, y, need_weights=False)[0]
        hidden = self.mlp["c_fc"](self.ln_2(x))
        mapped: torch.Tensor = self.mlp["c_proj"](hidden * torch.sigmoid(1.702 * hidden))
        return x + mapped


class Transformer(nn.Module):
    """A stack of blocks."""

    def __init__(self, dim: int, layers: int, heads: int) -> None:
        super().__init__()
        self.resblocks = nn.ModuleList(Block(dim, heads) for _ in range(layers))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, frames, dim) -> (n, frames, dim)."""
        for block in self.resblocks:
            x = block(x)
        return x


class Projector(nn.Module):
    """The dual projectors. `pt_clip_logit_scale` is the logarithm of the factor on cosines in the loss."""

    def __init__(self, config: ProjectorConfig, logit_scale: float = math.log(100)) -> None:
        super().__init__()
        self.config = config
        self.pt_clip_logit_scale = nn.Parameter(torch.tensor(logit_scale))
        if config.type != "meanP":
            # The published LSTM variant owns a position table too, though nothing reads it.
            self.frame_position_embeddings = nn.Embedding(config.positions, config.dim)
        if config.type == "seqTransf":
            self.seq_transf = Transformer(config.dim, config.layers, config.heads)
        if config.type == "seqLSTM":
            self.seq_lstm = nn.LSTM(config.dim, config.dim, batch_first=True)
        self.qfeat_proj = nn.Linear(config.dim, config.dim) if config.query_proj else nn.Identity()
        self.temp_proj = nn.Linear(config.dim, config.dim) if config.temp_proj else nn.Identity()
        if config.subtitles:
            # Without a bias, so that a segment in which nobody speaks keeps the vector of its frames.
            self.subtitle_proj = nn.Linear(config.dim, config.dim, bias=False)

    @property
    def segment_length(self) -> int:
        """Frames a segment."""
        return self.config.segment_length

    @property
    def streams(self) -> tuple[str, ...]:
        """The feature streams that it reads."""
        return self.config.streams

    @property
    def around(self) -> int:
        """Frames that it reads on both sides of a segment."""
        return self.config.around

    def queries(self, pooled: torch.Tensor) -> torch.Tensor:
        """Project pooled text features (n, dim) -> (n, dim), un-normalised."""
        projected: torch.Tensor = self.qfeat_proj(pooled)
        return projected

    def segments(self, inputs: torch.Tensor) -> torch.Tensor:
        """Project segments -> (n, dim), un-normalised.

        inputs: (n, frames read, dim), with subtitles 2 dim wide: `segment_inputs` of `video_rows`.
        """
        own = slice(self.config.around, self.config.around + self.config.segment_length)
        frames = inputs[..., : self.config.dim]
        projected: torch.Tensor = self.temp_proj(mean_of_unit_frames(self._in_time(frames)[:, own]))
        if self.config.subtitles:
            projected = projected + self.subtitle_proj(mean_of_unit_frames(inputs[..., self.config.dim :]))
        return projected

    def _in_time(self, frames: torch.Tensor) -> torch.Tensor:
        """Let the frames of a segment see each other."""
        if self.config.type == "seqTransf":
            read: torch.Tensor = self.seq_transf(
                frames + self.frame_position_embeddings.weight[: frames.shape[1]]
            )
            return read + frames
        if self.config.type == "seqLSTM":
            states: torch.Tensor = self.seq_lstm(frames)[0]
            return states + frames
        return frames

    def logits(self, queries: torch.Tensor, segments: torch.Tensor) -> torch.Tensor:
        """Return (n queries, n segments) scaled cosines of projected vectors."""
        cosines = F.normalize(queries, dim=-1) @ F.normalize(segments, dim=-1).T
        return self.pt_clip_logit_scale.exp() * cosines


class MeanPool(nn.Module):
    """The projector of zero-shot search: the text as it is, and the mean of unit frames.

    One that `hears` adds what is said, less the mean of all that is said: an encoder puts any two sentences
    nearer to each other than a sentence and a picture, and without that whoever speaks would come first.
    """

    def __init__(self, segment_length: int = SEGMENT, said: torch.Tensor | None = None) -> None:
        """said: (dim,) mean of the unit vectors of all that is said; None hears nothing."""
        super().__init__()
        self.segment_length = segment_length
        self.streams: tuple[str, ...] = (FRAMES,) if said is None else (FRAMES, SUBTITLES)
        self.around = 0
        self.said: torch.Tensor | None
        self.register_buffer("said", said)

    def hearing(self, subtitles: Iterable[NDArray[Any]]) -> "MeanPool":
        """Return one that hears. subtitles: (rows, dim) of all videos, zero in silence."""
        total, count = torch.zeros(()), 0
        for rows in subtitles:
            units = F.normalize(torch.from_numpy(np.array(rows, np.float32)), dim=-1)
            total = total + units.sum(dim=0)
            count += int(units.any(dim=-1).sum())
        # Of few sentences the mean is mostly each of them.
        return MeanPool(self.segment_length, total / (count + _FEW_ROWS)) if count else self

    def queries(self, pooled: torch.Tensor) -> torch.Tensor:
        """Return pooled text features (n, dim) as they are."""
        return pooled

    def segments(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return (n, dim): the mean of each segment's L2-normalised frames, and of what is said in it.

        inputs: (n, frames, dim), 2 dim wide where it hears.
        """
        if self.said is None:
            return mean_of_unit_frames(inputs)
        frames, subtitles = inputs.chunk(2, dim=-1)
        spoken = F.normalize(subtitles, dim=-1)
        apart = torch.where(spoken.any(dim=-1, keepdim=True), spoken - self.said, 0.0)
        return mean_of_unit_frames(frames) + apart.mean(dim=1)


class ClipPool(MeanPool):
    """The projector where a clip encoder made a vector of each segment: texts and segments as they are."""

    def __init__(self, segment_length: int = SEGMENT) -> None:
        super().__init__(segment_length)
        self.streams = (CLIPS,)

    def hearing(self, subtitles: Iterable[NDArray[Any]]) -> "MeanPool":
        """Return itself: what is said is another space's."""
        return self


def index_stream(streams: Container[str]) -> str:
    """Return which of a store's streams an index is made of."""
    return CLIPS if CLIPS in streams else FRAMES


def mean_of_unit_frames(frames: torch.Tensor) -> torch.Tensor:
    """(n, frames, dim) -> (n, dim): the mean of L2-normalised frames."""
    return F.normalize(frames, dim=-1).mean(dim=1)


def load_projector(directory: Path, device: str | torch.device = "cpu") -> Projector:
    """Load a trained projector, ready to project; NotFound, InvalidInput or Mismatch name what is wrong."""
    config = load_config(directory, KIND, ProjectorConfig)
    return load_model(lambda: Projector(config), directory, device)
