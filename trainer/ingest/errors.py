"""Why a file could not be ingested."""

from typing import Literal

from engine.errors import InvalidInput

Kind = Literal[
    "empty",
    "unreadable",
    "not-a-video",
    "audio-only",
    "unsupported-codec",
    "encrypted",
    "corrupt",
    "truncated",
    "too-large",
    "changed",
    "id-clash",
    "unusable-features",
]


class BadVideo(InvalidInput):
    """One file cannot be ingested; the others can. `kind` is for programs, the message for people."""

    def __init__(self, kind: Kind, message: str) -> None:
        super().__init__(message, kind.upper().replace("-", "_"))
        self.kind: Kind = kind

    def __reduce__(self) -> tuple[type["BadVideo"], tuple[Kind, str]]:
        """Travel between processes whole."""
        return BadVideo, (self.kind, str(self))
