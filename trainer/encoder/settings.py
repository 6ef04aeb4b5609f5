"""What a training of the encoder is told."""

from dataclasses import dataclass, field

from engine.errors import InvalidInput
from trainer.encoder.augment import Augmentation
from trainer.encoder.model import ModelShape

# Steps that two idle cores of a common CPU take in a minute, decoding and evaluation included.
STEPS_PER_MINUTE = 240
MOST_MINUTES = 100_000


@dataclass(frozen=True)
class EncoderSettings:
    """Sizes, lengths and weights of a training; the step count alone says when it ends."""

    steps: int = 2 * STEPS_PER_MINUTE
    seed: int = 0
    device: str = "auto"
    shape: ModelShape = field(default_factory=ModelShape)
    vocabulary: int = 1024
    # Of each kind in a batch: frames of events with a text each, frames between events, spoken pairs.
    batch: int = 32
    backgrounds: int = 4
    spoken: int = 12
    frames_per_event: int = 12
    val_frames_per_event: int = 8
    # Worlds beyond this many training events are sampled by video, so that decoding stays short.
    most_events: int = 1500
    # Share of the frames whose subject is put in front of another event's place.
    moved: float = 0.8
    lr: float = 1e-3
    muon_lr: float = 0.02
    weight_decay: float = 0.05
    attributes_weight: float = 0.5
    thumbnail_weight: float = 1.0
    speech_weight: float = 0.5
    patches_weight: float = 1.0
    augmentation: Augmentation = field(default_factory=Augmentation)


def steps_in(minutes: float) -> int:
    """Return how many steps two idle cores take in so many minutes; InvalidInput for no number of them."""
    if not 0 < minutes < MOST_MINUTES:
        raise InvalidInput(f"--minutes {minutes:g} is not above 0 and below {MOST_MINUTES}.")
    return max(1, round(minutes * STEPS_PER_MINUTE))
