"""Answers: ranked moments, and their coverage of the corpus."""

import enum
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from engine.evidence import Evidence, Finding
from engine.steps import Steps
from engine.types import Hits, Moments, Proposals


class Degraded(enum.Enum):
    """Why an answer is degraded: less than the whole corpus, fully ranked."""

    SHARD_TIMEOUT = "a shard was late"
    SHARD_UNAVAILABLE = "a shard did not answer"
    RANKER_SKIPPED = "the ranker did not answer"


@dataclass(frozen=True, slots=True)
class Coverage:
    """The part of the corpus that was searched, in shards and in videos.

    degraded: reasons, each once, in the order of `Degraded`. unreachable: names of the lost shards.
    """

    shards_total: int
    shards_answered: int
    videos_total: int
    videos_searched: int
    degraded: tuple[Degraded, ...] = ()
    unreachable: tuple[str, ...] = ()

    @property
    def ratio(self) -> float:
        """Searched videos / videos, 1 for an empty corpus."""
        return self.videos_searched / self.videos_total if self.videos_total else 1.0

    def unranked(self) -> "Coverage":
        """Return it where no ranker answered."""
        return replace(self, degraded=(*self.degraded, Degraded.RANKER_SKIPPED))

    @staticmethod
    def together(coverages: Sequence["Coverage"]) -> "Coverage":
        """Return the coverage of an answer that needs several searches: the worst of theirs."""
        worst = min(coverages, key=lambda one: one.videos_searched)
        reasons = {reason for one in coverages for reason in one.degraded}
        lost = sorted({name for one in coverages for name in one.unreachable})
        degraded = tuple(reason for reason in Degraded if reason in reasons)
        return replace(worst, degraded=degraded, unreachable=tuple(lost))


@dataclass(frozen=True, slots=True)
class Answer:
    """The whole ranked list of one query. timings: (stage, seconds) in the order they ran.

    ranker_model: the ranker that refined; empty without one. truncated: whether the encoder cut the query's
    end off. hits: what was retrieved. allowed: videos that the query's filter lets through, None without one.
    evidence: None for a version without texts, for examples, vectors and several parts. steps: of several
    parts.
    """

    moments: Moments
    proposals: Proposals
    coverage: Coverage
    timings: tuple[tuple[str, float], ...]
    ranker_model: str = ""
    truncated: bool = False
    hits: Hits | None = None
    allowed: int | None = None
    evidence: Evidence | None = None
    steps: Steps | None = None

    def of(self, rows: NDArray[np.intp]) -> "Answer":
        """Return the answer with some of its moments alone."""
        return replace(self, moments=self.moments.of(rows))

    def findings(self, rows: slice) -> list[list[Finding]]:
        """Return what found each of some moments, the best rank first; none without evidence. Reads files."""
        listed = self.moments.proposals[rows].astype(np.intp)
        if self.steps is not None:
            return self.steps.findings(listed)
        return [] if self.evidence is None else self.evidence.of(self.proposals.of(listed))
