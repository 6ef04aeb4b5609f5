"""What decides a projector's training; the defaults are the published values (arXiv 2501.05072)."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import ClassVar, Literal

from engine.errors import InvalidInput
from trainer.runs.settings import check_optimisation
from workers.ranker.projection.projector import ProjectorConfig

POSITIVE = ("lr", "scale_lr", "eps", "clip")


@dataclass(frozen=True, slots=True)
class ProjectorShape:
    """The [projector.model] table: a ProjectorConfig without the width, which the features decide.

    heads: 0 means a head for every 64 of the width.
    """

    type: Literal["seqTransf", "seqLSTM", "meanP"] = "seqTransf"
    layers: int = 6
    heads: int = 0
    positions: int = 32
    query_proj: bool = True
    temp_proj: bool = True
    segment_length: int = 4
    subtitles: bool = False
    around: int = 0


@dataclass(frozen=True, slots=True)
class ProjectorSettings:
    """The [projector] table of a training config.

    model: its shape. init: "published" is PyTorch's, "identity" starts as mean pooling. logit_scale: the
    logarithm of the factor on cosines at the start.
    The data: a query's `top_k` most similar moments, their segments with a score of at least `threshold`.
    The training: `steps` = 0 means `epochs` over all pairs; the temperature learns at `scale_lr` of `lr`;
    `warmup` is a share of all steps. Every `eval_every` steps recall is taken at each of `recall_at`, and the
    model with the best `select` is kept.
    """

    # Names that load_settings refuses, and why.
    REFUSED: ClassVar[Mapping[str, str]] = {
        **{shape.name: f"it is called projector.model.{shape.name}" for shape in fields(ProjectorShape)},
        "model.dim": "the collection's features decide it",
    }

    model: ProjectorShape = field(default_factory=ProjectorShape)
    init: Literal["published", "identity"] = "published"
    logit_scale: float = 4.605170185988092
    top_k: int = 40
    threshold: float = 0.3
    loss: Literal["milnce", "weighted-milnce", "milce", "infonce"] = "milnce"
    epochs: int = 30
    steps: int = 0
    batch: int = 256
    lr: float = 5e-4
    scale_lr: float = 0.01
    beta1: float = 0.9
    beta2: float = 0.99
    eps: float = 1e-8
    weight_decay: float = 1e-3
    clip: float = 5.0
    warmup: float = 0.05
    eval_every: int = 1000
    recall_at: tuple[int, ...] = (100, 500, 1000)
    select: str = "weighted-recall@100"
    log_every: int = 10
    save_every: int = 200
    amp: bool = True
    seed: int = 2024

    def __post_init__(self) -> None:
        for name in ("batch", "top_k", "eval_every", "log_every", "save_every"):
            if getattr(self, name) < 1:
                raise InvalidInput(f"projector.{name} = {getattr(self, name)} must be at least 1.")
        check_optimisation("projector", self, POSITIVE)
        if not 0 <= self.warmup < 1:
            raise InvalidInput(f"projector.warmup = {self.warmup} is no share; use 0 or more, below 1.")
        if self.steps < 1 and self.epochs < 1:
            raise InvalidInput("projector.epochs and projector.steps are both 0; give one of them.")
        names = [
            f"{kind}@{k}" for kind in ("recall", "weighted-recall", "video-recall") for k in self.recall_at
        ]
        if self.select not in names:
            raise InvalidInput(
                f"projector.select = {self.select!r} is not measured; use one of {', '.join(names)}."
            )

    def model_for(self, dim: int) -> ProjectorConfig:
        """Return the projector for features of width `dim`."""
        heads = self.model.heads or max(1, dim // 64)
        return ProjectorConfig(dim=dim, **{**asdict(self.model), "heads": heads})
