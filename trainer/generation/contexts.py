"""The ranker's contexts at build: whether a part stores them, and how, and their encoding."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import torch

from engine.errors import InvalidInput
from workers.ranker.model.whole import encode_videos
from workers.ranker.scoring.relo_ranker import ReloRanker
from workers.ranker.stores.contexts import DIRECTORY, write_encoded
from workers.ranker.stores.features import FeatureMaps
from workers.ranker.stores.rounding import ContextType

ContextsChoice = Literal["auto", "float16", "int8", "int5", "none"]
CHOICES: tuple[ContextsChoice, ...] = ("auto", "float16", "int8", "int5", "none")

# Progress is reported about so many times.
_PARTS = 200


def choose_contexts(choice: ContextsChoice, ranker: ReloRanker | None) -> ContextType | None:
    """Return how contexts are stored, None for not at all; InvalidInput for a choice that cannot be.

    auto: float16 for a ranker that does not depend on how far a window is padded. One that was trained to
    (`padding = "published"`) gives other answers from stored contexts, so it is stored only when asked for.
    """
    if choice not in CHOICES:
        raise InvalidInput(f"--contexts {choice} is not one of {', '.join(CHOICES)}.")
    if ranker is None and choice not in ("auto", "none"):
        raise InvalidInput(
            f"--contexts {choice} needs a trained ranker; run `spr train ranker`, or name one with --ranker."
        )
    if ranker is None or choice == "none":
        return None
    if choice == "auto":
        return "float16" if ranker.model.config.window.padding == "tight" else None
    return choice


def write_contexts(
    building: Path,
    ranker: ReloRanker,
    dtype: ContextType,
    device: torch.device,
    on_progress: Callable[[str, int, int], None],
) -> None:
    """Encode the features that `building` holds with the ranker, and store the contexts beside them."""
    contexts = FeatureMaps.open(building)
    window = ranker.model.config.window
    total = int(contexts.counts(window.video_stream).sum())
    told = 0

    def on_done(clips: int) -> None:
        nonlocal told
        if clips - told >= total / _PARTS or clips == total:
            told = clips
            on_progress("contexts", clips, total)

    on_progress("contexts", 0, total)
    videos = encode_videos(ranker.model.to(device), contexts, device, on_done)
    hidden = ranker.model.config.hidden
    write_encoded(building / DIRECTORY, hidden, window.clip_length, dtype, videos, ranker.fingerprint)
