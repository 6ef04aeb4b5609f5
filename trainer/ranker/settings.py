"""What decides a ranker's training; the defaults are the published values (arXiv 2501.05072)."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import ClassVar, Literal

from engine.errors import InvalidInput
from engine.proposals import ProposalRule
from trainer.evaluation.measures import NDCG
from trainer.ranker.losses import LossConfig
from trainer.runs.settings import check_optimisation
from workers.ranker.model.relo import ReloConfig
from workers.ranker.model.windows import WindowConfig
from workers.ranker.scoring.decode import DecodeConfig

LONGEST_WINDOW = 1 << 16
SELECT = tuple(NDCG(k, 0.7) for k in (10, 20, 40))


# Settings that had no table of their own once: name to table.
_NESTED = {
    **{field.name: "model" for field in fields(ReloConfig)},
    **{field.name: "model.window" for field in fields(WindowConfig)},
}
_OF_FEATURES = ("visual_dim", "subtitle_dim", "query_dim", "window.clip_length")


@dataclass(frozen=True, slots=True)
class RankerSettings:
    """The [ranker] table of a training config.

    model: the model and its windows, as in ReloConfig and WindowConfig; the widths of features and the clip
    length follow from the collection. loss, decode: as in LossConfig and DecodeConfig.
    The data: a query's `top_k` most similar moments with at least `min_similarity`; proposals from the
    `depth` best segments, at most `depth_share` of a split's, by the rule `proposals`. Of a mined proposal's
    moment, the share `min_cover` must lie in its window.
    val_proposals: the rule for val, which is to be ranked as searches are.
    samples: train on what retrieval finds, or on the samples that an imported data set brought.
    The training: `steps` = 0 means `epochs` over all pairs; `warmup` is a share of all steps. Every
    `eval_every` steps val is ranked, and the model with the largest sum of NDCG@{10,20,40} at IoU>=0.7 kept.
    anchor: start the shortcut in the space of the encoder that made frames, subtitles and queries alike, and
    let it learn with the share `anchored_lr` of `lr`.
    score: "fixed" takes the weights of `decode`; "weighed" chooses those of log p and retrieval score on val;
    "fused" fits all that was found, and a confidence, on val. precision: of the best moments whose confidence
    reaches the fitted threshold, the share that is right.
    feedback: train on what people judged too, beside annotations where there are some, and go on from the
    current ranker where it fits, with the share `tuning_lr` of `lr`. feedback_weight: how often each such
    query is taken.
    longest: seconds of the longest moment, in place of decode.max_span; 0 to leave that.
    """

    # Names that load_settings refuses, and why.
    REFUSED: ClassVar[Mapping[str, str]] = {
        **{name: f"it is called ranker.{table}.{name}" for name, table in _NESTED.items()},
        **{f"model.{name}": "the collection's features decide it" for name in _OF_FEATURES},
    }

    model: ReloConfig = field(default_factory=ReloConfig)
    anchor: bool = False
    anchored_lr: float = 0.1
    top_k: int = 40
    min_similarity: float = -1.0
    depth: int = 200
    depth_share: float = 1.0
    proposals: str = "adjacent"
    val_proposals: str = "adjacent"
    samples: Literal["mined", "kept"] = "mined"
    min_cover: float = 0.0
    feedback: bool = False
    feedback_weight: int = 3
    tuning_lr: float = 0.3
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
        for name in ("top_k", "depth", "eval_every", "log_every", "save_every", "feedback_weight"):
            if getattr(self, name) < 1:
                raise InvalidInput(f"ranker.{name} = {getattr(self, name)} must be at least 1.")
        check_optimisation("ranker", self, ("lr", "clip", "tuning_lr"))
        if self.batch < 2:
            raise InvalidInput(f"ranker.batch = {self.batch} leaves no negatives; use at least 2.")
        if self.steps < 1 and self.epochs < 1:
            raise InvalidInput("ranker.epochs and ranker.steps are both 0; give one of them.")
        if not 0 < self.warmup < 1:
            raise InvalidInput(f"ranker.warmup = {self.warmup} is no share; use a number between 0 and 1.")
        if self.anchor and not self.model.shortcut:
            raise InvalidInput("ranker.anchor starts a shortcut; set ranker.model.shortcut too.")
        for rule in (self.proposals, self.val_proposals):
            ProposalRule.parse(rule)

    def spans(self, clip_length: float) -> DecodeConfig:
        """Return how spans are chosen where a clip has `clip_length` seconds."""
        if not self.longest:
            return self.decode
        return replace(self.decode, max_span=max(1, math.ceil(self.longest / clip_length)))

    def model_for(self, visual: int, subtitles: int, query: int, clip_length: float) -> ReloConfig:
        """Return the model for features of these widths, a row every `clip_length` seconds."""
        window = replace(self.model.window, clip_length=clip_length)
        if self.model.context_encoder != "attention":
            # Only a table of positions needs windows to end somewhere.
            window = replace(window, max_clips=LONGEST_WINDOW)
        return replace(self.model, visual_dim=visual, subtitle_dim=subtitles, query_dim=query, window=window)
