"""What decides a ranker's training; the defaults are the published values (arXiv 2501.05072)."""

import math
from dataclasses import dataclass, field, replace
from typing import Literal

from engine.errors import InvalidInput
from engine.proposals import ProposalRule
from trainer.evaluation.measures import NDCG
from trainer.ranker.losses import LossConfig
from trainer.runs.settings import check_optimisation
from workers.ranker.model.relo import ReloConfig
from workers.ranker.model.windows import WindowConfig
from workers.ranker.scoring.decode import DecodeConfig
from workers.ranker.stores.features import FRAMES, SUBTITLES

LONGEST_WINDOW = 1 << 16
SELECT = tuple(NDCG(k, 0.7) for k in (10, 20, 40))


@dataclass(frozen=True, slots=True)
class RankerSettings:
    """The [ranker] table of a training config.

    The features: `video_stream` and `subtitle_stream` name them; a row of both is a clip.
    The model: sizes come from the features; padding and head_init as in ReloConfig.
    The data: a query's `top_k` most similar moments with at least `min_similarity`; windows with `context`
    seconds on both sides; proposals from the `depth` best segments, at most `depth_share` of a split's, by
    the rule `proposals`. Of a mined proposal's moment, the share `min_cover` must lie in its window.
    val_proposals: the rule for val, which is to be ranked as searches are.
    samples: train on what retrieval finds, or on the samples that an imported data set brought.
    The training: `steps` = 0 means `epochs` over all pairs; `warmup` is a share of all steps. Every
    `eval_every` steps val is ranked, and the model with the largest sum of NDCG@{10,20,40} at IoU>=0.7 kept.
    context_encoder, reach, kernels, shortcut, bias_reach: as in ReloConfig.
    anchor: start the shortcut in the space of the encoder that made frames, subtitles and queries alike, and
    let it learn with the share `anchored_lr` of `lr`.
    score: "fixed" takes the weights of `decode`; "weighed" chooses those of log p and retrieval score on val;
    "fused" fits all that was found, and a confidence, on val. precision: how often the best moments of
    queries must be right for the confidence from which on something good was found.
    longest: seconds of the longest moment, in place of decode.max_span; 0 to leave that.
    """

    hidden: int = 768
    heads: int = 8
    kernel: int = 5
    input_dropout: float = 0.1
    dropout: float = 0.1
    padding: Literal["tight", "published"] = "tight"
    head_init: Literal["published", "edge"] = "published"
    context_encoder: Literal["attention", "local", "conv"] = "attention"
    reach: int = 16
    kernels: tuple[int, ...] = (5, 9)
    shortcut: bool = False
    bias_reach: int = 0
    anchor: bool = False
    anchored_lr: float = 0.1
    context: float = 8.0
    max_clips: int = 128
    max_tokens: int = 30
    video_stream: str = FRAMES
    subtitle_stream: str = SUBTITLES
    normalize_video: bool = True
    normalize_subtitles: bool = True
    top_k: int = 40
    min_similarity: float = -1.0
    depth: int = 200
    depth_share: float = 1.0
    proposals: str = "adjacent"
    val_proposals: str = "adjacent"
    samples: Literal["mined", "kept"] = "mined"
    min_cover: float = 0.0
    loss: LossConfig = field(default_factory=LossConfig)
    decode: DecodeConfig = field(default_factory=DecodeConfig)
    score: Literal["fixed", "weighed", "fused"] = "fixed"
    precision: float = 0.5
    longest: float = 0.0
    optimizer: Literal["bertadam", "adamw"] = "bertadam"
    epochs: int = 50
    steps: int = 0
    batch: int = 8
    lr: float = 1e-4
    weight_decay: float = 0.01
    clip: float = 5.0
    warmup: float = 0.01
    eval_every: int = 2500
    log_every: int = 10
    save_every: int = 500
    amp: bool = True
    seed: int = 2024

    def __post_init__(self) -> None:
        for name in ("top_k", "depth", "eval_every", "log_every", "save_every"):
            if getattr(self, name) < 1:
                raise InvalidInput(f"ranker.{name} = {getattr(self, name)} must be at least 1.")
        check_optimisation("ranker", self, ("lr", "clip"))
        if self.batch < 2:
            raise InvalidInput(f"ranker.batch = {self.batch} leaves no negatives; use at least 2.")
        if self.steps < 1 and self.epochs < 1:
            raise InvalidInput("ranker.epochs and ranker.steps are both 0; give one of them.")
        if not 0 < self.warmup < 1:
            raise InvalidInput(f"ranker.warmup = {self.warmup} is no share; use a number between 0 and 1.")
        if self.anchor and not self.shortcut:
            raise InvalidInput("ranker.anchor starts a shortcut; set ranker.shortcut too.")
        for rule in (self.proposals, self.val_proposals):
            ProposalRule.parse(rule)

    def spans(self, clip_length: float) -> DecodeConfig:
        """Return how spans are chosen where a clip has `clip_length` seconds."""
        if not self.longest:
            return self.decode
        return replace(self.decode, max_span=max(1, math.ceil(self.longest / clip_length)))

    def model(self, visual: int, subtitles: int, query: int, clip_length: float) -> ReloConfig:
        """Return the model for features of these widths, a row every `clip_length` seconds."""
        window = WindowConfig(
            clip_length=clip_length,
            context=self.context,
            # Only a table of positions needs windows to end somewhere.
            max_clips=self.max_clips if self.context_encoder == "attention" else LONGEST_WINDOW,
            max_tokens=self.max_tokens,
            normalize_video=self.normalize_video,
            normalize_subtitles=self.normalize_subtitles,
            padding=self.padding,
            video_stream=self.video_stream,
            subtitle_stream=self.subtitle_stream,
        )
        return ReloConfig(
            visual_dim=visual,
            subtitle_dim=subtitles,
            query_dim=query,
            hidden=self.hidden,
            heads=self.heads,
            kernel=self.kernel,
            input_dropout=self.input_dropout,
            dropout=self.dropout,
            head_init=self.head_init,
            window=window,
            context_encoder=self.context_encoder,
            reach=self.reach,
            kernels=self.kernels,
            shortcut=self.shortcut,
            bias_reach=self.bias_reach,
        )
