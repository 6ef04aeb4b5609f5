"""What ingest needs of encoders; workers.ranker.encoder.encoder.Encoder is one of each kind."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class TextRows(Protocol):
    """What an encoder says of n texts."""

    @property
    def pooled(self) -> NDArray[np.float32]:
        """(n, dim), un-normalised."""

    @property
    def cut(self) -> Sequence[bool]:
        """(n,), whether a text is longer than the encoder reads."""


class EncoderName(Protocol):
    """What a feature store knows of an encoder."""

    @property
    def name(self) -> str:
        """Directory or hub name."""

    @property
    def fingerprint(self) -> str:
        """16 hex digits that name its weights."""

    @property
    def dim(self) -> int:
        """Width of the rows."""


class FrameEncoder(EncoderName, Protocol):
    """The part of an encoder that ingest needs; workers.ranker.encoder.encoder.Encoder is one."""

    def images(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Encode (n, h, w, 3) RGB to (n, dim), un-normalised."""

    def text(self, texts: Sequence[str]) -> TextRows:
        """Encode sentences."""


class ClipEncoder(EncoderName, Protocol):
    """The part of a clip encoder that ingest needs; Encoder is one."""

    def clips(self, clips: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Encode (n, frames, h, w, 3) RGB to (n, dim), un-normalised."""
