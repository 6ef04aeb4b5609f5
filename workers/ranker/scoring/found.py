"""What a ranker finds in each proposal alone, as rows of numbers: no score yet, which depends on all of them.

So the proposals of one query can be looked at by several workers, and be scored as if by one: a row has all
that scoring reads of a proposal, and float64 holds every value of it exactly.
"""

from dataclasses import fields

import numpy as np

from engine.errors import InvalidInput
from engine.types import Doubles, Ordinals
from workers.ranker.model.windows import Windows
from workers.ranker.scoring.evidence import Evidence

_WINDOW = [column.name for column in fields(Windows)][1:]  # without the videos, which the query has
_EVIDENCE = [column.name for column in fields(Evidence)]


def packed(windows: Windows, evidence: Evidence, durations: Doubles) -> Doubles:
    """Return (n, columns): seconds of each window's video, the window, and what was found in it."""
    columns = [getattr(windows, name) for name in _WINDOW] + [getattr(evidence, name) for name in _EVIDENCE]
    return np.stack([durations, *columns], axis=1, dtype=np.float64)


def unpacked(found: Doubles, videos: Ordinals) -> tuple[Windows, Evidence, Doubles]:
    """Return the windows, the evidence and the durations of `packed` rows; InvalidInput for other rows."""
    if found.shape[1] != 1 + len(_WINDOW) + len(_EVIDENCE) or not np.isfinite(found).all():
        raise InvalidInput("found answers no part of this query; send what Rank returned", field="found")
    none, no_clips = Evidence.empty(0), np.zeros(0, np.int64)
    kinds = [no_clips, no_clips, no_clips, durations := found[:, 0], durations]
    kinds += [getattr(none, name) for name in _EVIDENCE]
    columns = [column.astype(kind.dtype) for column, kind in zip(found[:, 1:].T, kinds, strict=True)]
    return Windows(videos, *columns[: len(_WINDOW)]), Evidence(*columns[len(_WINDOW) :]), durations
