"""What a query shows in place of telling it: pictures, spans of videos, names."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from engine.types import EncodedQuery, Floats

MOST = 10  # examples of a part
# Of the examples against the text, tuned on val: docs/queries.md.
WEIGHT = 0.65


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture file: JPEG, PNG or WebP."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Clip:
    """A span of a video of the collection, by its id: seconds, [start, end). end None: to its end."""

    video: str
    start: float = 0.0
    end: float | None = None


@dataclass(frozen=True, slots=True)
class Named:
    """A name that was given to examples before, without the "@"."""

    name: str


Example: TypeAlias = Picture | Clip | Named


@dataclass(frozen=True, slots=True)
class Part:
    """What one moment shows: a text, examples, or both. weight: 0..1, of the examples against the text.

    not_texts: what it must not show.
    """

    text: str = ""
    examples: tuple[Example, ...] = ()
    weight: float = WEIGHT
    not_texts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Span:
    """A clip as workers find it: by the video's ordinal."""

    video: int
    start: float
    end: float | None


@dataclass(frozen=True, eq=False, slots=True)
class Frame:
    """What the image tower made of a picture: (encoder dim,) float32, un-normalised."""

    row: Floats


@dataclass(frozen=True, eq=False, slots=True)
class Shown:
    """What a worker made of a span: (dim,) unit, in the index's space; (encoder dim,) its mean unit frame."""

    embedding: Floats
    frame: Floats


Source: TypeAlias = Picture | Span | Frame | Shown


def key_of(sources: Sequence[Source]) -> str:
    """Return what tells examples of one version from others."""
    hashed = hashlib.blake2b(digest_size=16)
    for source in sources:
        if isinstance(source, Span):
            data = repr((source.video, source.start, source.end)).encode()
        else:
            assert not isinstance(source, Shown), "it is made of a span, which is the key"
            data = source.data if isinstance(source, Picture) else source.row.tobytes()
        hashed.update(f"{type(source).__name__} {len(data)} ".encode() + data)
    return hashed.hexdigest()


def joined(text: EncodedQuery, examples: EncodedQuery, weight: float) -> EncodedQuery:
    """Return a query of both: weighted sums of unit vectors; the words and the sentence are the text's.

    weight: 0..1, of the examples.
    """
    return EncodedQuery(
        _sum(text.embedding, examples.embedding, weight),
        text.token_states,
        _sum(text.text_embedding, examples.text_embedding, weight),
        text.model_id,
        text.truncated,
        shown=True,
        sentence=text.sentence,
        text=text.text,
    )


def _sum(one: Floats, other: Floats, weight: float) -> Floats:
    total: Floats = (1 - weight) * _unit(one) + weight * _unit(other)
    return _unit(total)


def _unit(vector: Floats) -> Floats:
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-12), np.float32)
