"""The steps of a query of several parts: what was proposed for each part, and why."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from engine import sequences
from engine.evidence import Evidence, Finding
from engine.sequences import Candidates, Rows
from engine.types import Hits, Proposals


@dataclass(frozen=True, slots=True)
class Step:
    """What was retrieved and proposed for one part. evidence: None for a part without words."""

    hits: Hits
    proposals: Proposals
    evidence: Evidence | None = None

    @property
    def candidates(self) -> Candidates:
        """The proposals as they are."""
        p = self.proposals
        logs = sequences.log_probabilities(None, p.scores.astype(np.float64))
        return Candidates(p.videos, p.spans, logs)

    def of(self, rows: Rows) -> "Step":
        """Return it with some of its proposals."""
        return replace(self, proposals=self.proposals.of(rows))


@dataclass(frozen=True, slots=True)
class Steps:
    """Of each part of a query the proposals that chains are made of, a row a chain."""

    parts: Sequence[Step]

    @staticmethod
    def of_chains(parts: Sequence[Step], rows: Rows) -> "Steps":
        """Return the steps of chains (m, parts): rows of each part's proposals."""
        return Steps([part.of(at) for part, at in zip(parts, rows.T, strict=True)])

    def findings(self, rows: Rows) -> list[list[Finding]]:
        """Return what found the steps of some chains, part after part, the best rank first. Reads files."""
        found: list[list[Finding]] = [[] for _ in rows]
        for number, part in enumerate(self.parts):
            if part.evidence is not None:
                for chain, one in zip(found, part.evidence.of(part.proposals.of(rows)), strict=True):
                    chain += [replace(finding, part=number) for finding in one]
        return found
