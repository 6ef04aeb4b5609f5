"""Sizes of a benchmark: the published corpus, a quarter of it, or what a test can run."""

import dataclasses
from dataclasses import dataclass

from engine.errors import InvalidInput


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """What every stage reads of the size of a run.

    share: of the published 19,614 videos and 383,828 segments. dim: of vectors and stored contexts.
    runs: of what takes milliseconds. slow: of a second. published: whether to run the published way
    where it takes minutes. tower: (width, layers, heads) of the text tower. segments: corpus sizes of
    `scale`. clients: numbers of concurrent ones; load_seconds: for each.
    """

    name: str
    share: float = 1.0
    dim: int = 768
    queries: int = 64
    runs: int = 200
    slow: int = 5
    published: bool = True
    tower: tuple[int, int, int] = (768, 12, 12)
    segments: tuple[int, ...] = (100_000, 200_000, 383_828, 1_600_000, 3_200_000)
    clients: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64)
    load_seconds: float = 6.0


FULL = Sizes(name="full")
QUICK = dataclasses.replace(
    FULL,
    name="quick",
    share=0.25,
    runs=50,
    slow=2,
    published=False,
    segments=(25_000, 50_000, 100_000),
    clients=(1, 32),
    load_seconds=2.0,
)
TINY = Sizes(
    name="tiny",
    share=0.01,
    dim=64,
    queries=8,
    runs=3,
    slow=1,
    published=True,
    tower=(64, 2, 4),
    segments=(1_000, 2_000),
    clients=(1, 4),
    load_seconds=0.3,
)
_ALL = {sizes.name: sizes for sizes in (FULL, QUICK, TINY)}


def named(name: str) -> Sizes:
    """Return the sizes of a name."""
    if name not in _ALL:
        raise InvalidInput(f"sizes {name!r} are not known; use {', '.join(_ALL)}")
    return _ALL[name]
