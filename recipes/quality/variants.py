"""The variants that are trained and compared: first stages, and rankers on them."""

from dataclasses import dataclass
from typing import Any

Row = dict[str, Any]

DEFAULT, PUBLISHED = "demo", "demo-published"
OWN = ("score=fixed", "decode.coarse_weight=0")
# The default's proposals, for a comparison of rankers alone.
PEAKS = "val_proposals=peaks:1"
# Five times the demo's videos deserve more steps: as long as the published recipe's 300 dearer ones take.
LONG = ("steps=480", "eval_every=120")
# Whether the published recipe only wants longer training: its 300 steps three times over.
THRICE = ("steps=900", "eval_every=150")
# Of an ablation: a third of them, every row alike.
SHORT = ("steps=160", "eval_every=80")
ABLATION_SEEDS = 2
# What the published losses want in a small world, as in `demo-published`.
LOSSES = ("loss.video=0.3", "loss.hard_from_epoch=2")


@dataclass(frozen=True, slots=True)
class Variant:
    """One training, and how it is asked. projector: the config of a ranker's first stage."""

    config: str = DEFAULT
    changes: tuple[str, ...] = ()
    projector: str = DEFAULT
    published: bool = False

    @property
    def search(self) -> list[str]:
        """How many segments a search fetches, and the rule that makes proposals of them."""
        return ["--segment-top-k", "200", "--proposals", "adjacent"] if self.published else []


MAIN = {
    "published line": Variant(PUBLISHED, OWN, PUBLISHED, published=True),
    "published ReLo, its own score": Variant(PUBLISHED, (*OWN, PEAKS)),
    "published ReLo, three times as long": Variant(PUBLISHED, (*OWN, PEAKS, *THRICE)),
    "published ReLo, fitted score": Variant(PUBLISHED, ("score=fused", PEAKS)),
    "default": Variant(changes=LONG),
}
# docs/experiments/2026-11-ranker-ablation.md
ABLATION = {
    "default": Variant(changes=SHORT),
    "published first stage": Variant(changes=SHORT, projector=PUBLISHED),
    "published proposals": Variant(changes=(*SHORT, "val_proposals=adjacent")),
    "score of the published formula": Variant(changes=(*SHORT, *OWN)),
    "published losses alone": Variant(changes=(*SHORT, *LOSSES, "loss.objective=published")),
    "no shortcut": Variant(changes=(*SHORT, "model.shortcut=false", "anchor=false")),
    "no anchor": Variant(changes=(*SHORT, "anchor=false")),
    "no bias": Variant(changes=(*SHORT, "model.bias_reach=0")),
    "published attention": Variant(
        changes=(*SHORT, "model.context_encoder=attention", "model.shortcut=false", "anchor=false")
    ),
}
# Stage 1 alone: docs/experiments/2026-11-first-stage.md
FIRST = {
    "published recipe": Variant(PUBLISHED, ("logit_scale=4.605170185988092", "lr=5e-4")),
    "the same, for a small world": Variant(PUBLISHED),
    "default": Variant(),
    "without subtitles": Variant(changes=("model.subtitles=false",)),
    "without surroundings": Variant(changes=("model.around=0",)),
    "published loss and threshold": Variant(changes=("loss=milnce", "threshold=0.3")),
    "published start": Variant(changes=("init=published",)),
}
