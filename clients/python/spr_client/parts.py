"""What a moment shows: a text, examples, or both."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Clip:
    """A span of a video of the collection, in seconds, [start, end). end None: to the video's end."""

    video: str
    start: float = 0.0
    end: float | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """What a moment shows: a text, examples that it looks like, or both; at most ten examples in all.

    images: JPEG, PNG or WebP files, by path or as their bytes. like: spans of videos of the collection.
    names: given with `spr corpus name`, with or without the "@". weight: 0..1, of the examples against the
    text; None: the server's. without: what must not be there, at most 5 texts: "a car", "at night".
    """

    text: str = ""
    images: Sequence[bytes | str | Path] = ()
    like: Sequence[Clip] = ()
    names: Sequence[str] = ()
    weight: float | None = None
    without: Sequence[str] = ()
