"""The texts of several parts written as those of one: lines and vectors are taken as they are."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.corpus import Corpus, PartOfVersion
from engine.part_texts import PartTexts
from engine.texts import TEXTS
from engine.types import Floats, Ordinals
from trainer.generation.texts import Rows, write_texts
from trainer.generation.texts_kit import open_texts
from trainer.ingest.texts import Texts
from workers.index.part import VIDEOS, IndexPart
from workers.index.vectors import vectors_of

_BLOCK = 16_384
# A part by its place, and the number of a video in it.
Source = tuple[int, int]


def merge_texts(
    building: Path,
    corpus: Corpus,
    chosen: Sequence[PartOfVersion],
    order: NDArray[np.int64],
    counts: Ordinals,
) -> None:
    """Write the texts of the living videos of `chosen` into a part that is being built, if any are searched.

    order: (videos,) the new part's videos, each as its place among the living ones of all parts, part after
    part. counts: (videos,) their segments.
    """
    kit = open_texts(corpus.directory, corpus.version.texts, device=None)
    if kit is None:
        return
    living = [(place, int(number)) for place, part in enumerate(chosen) for number in part.living]
    sources = [living[int(place)] for place in order]
    write_texts(
        building,
        kit,
        _lines(chosen, sources),
        counts,
        corpus.version.segment_length,
        lambda channel, rows: _vectors(chosen, sources, channel, rows),
    )


def _lines(chosen: Sequence[PartOfVersion], sources: Sequence[Source]) -> list[Texts]:
    opened = [PartTexts.open(part.directory) for part in chosen]
    found = []
    for place, number in sources:
        part = opened[place]
        said, written = (tuple(part.all(number, one)) if part is not None else () for one in TEXTS)
        found.append(Texts(said, written))
    for part in opened:
        if part is not None:
            part.close()
    return found


def _vectors(
    chosen: Sequence[PartOfVersion], sources: Sequence[Source], channel: str, rows: Rows
) -> Iterator[Floats]:
    """Yield the vectors of the new part's rows, in blocks, from the parts that have them."""
    opened = {
        place: IndexPart.open(part.directory / channel, "cpu")
        for place, part in enumerate(chosen)
        if (part.directory / channel / VIDEOS).is_file()
    }
    # A video's rows lie together, as many and in the same order as in the new part.
    counts = np.bincount(rows.videos, minlength=len(sources))
    firsts = [
        int(np.searchsorted(opened[place].videos, number)) if count else 0
        for (place, number), count in zip(sources, counts.tolist(), strict=True)
    ]
    places = np.array([place for place, _ in sources])[rows.videos]
    starts = np.cumsum(counts) - counts
    old = np.array(firsts)[rows.videos] + np.arange(len(rows)) - starts[rows.videos]
    for begin in range(0, len(rows), _BLOCK):
        block = slice(begin, begin + _BLOCK)
        found = np.zeros((len(old[block]), next(iter(opened.values())).dim), np.float32)
        for place, part in opened.items():
            mine = places[block] == place
            if mine.any():
                found[mine] = vectors_of(part, old[block][mine])
        yield found
