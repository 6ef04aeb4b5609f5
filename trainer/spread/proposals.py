"""The mining of a ranker's training on many machines: each worker proposes for shares of the queries."""

import itertools
from collections.abc import Iterator

import torch

from engine.types import Proposals
from trainer.collection.retrieval import QUERIES_AT_ONCE
from trainer.progress import Progress
from trainer.ranker.proposing import Proposer, Sought
from trainer.spread.crew import Crew
from trainer.spread.tasks import all_done, stretches


class ProposalWorker:
    """Proposes for sentences; opens the collection once."""

    def __init__(self, sought: Sought, device: str) -> None:
        self._sought, self._device = sought, torch.device(device)
        self._opened: Proposer | None = None

    def propose(self, rows: slice) -> list[Proposals]:
        """Return the proposals of some sentences."""
        if self._opened is None:
            self._opened = Proposer.open(self._sought, self._device)
        return list(self._opened.proposals(rows))


def proposals_spread(sought: Sought, address: str, device: torch.device) -> Iterator[Proposals]:
    """Yield what `Proposer.proposals` yields of all sentences, from workers of a Ray cluster."""
    # As many as one matrix product takes: the bits depend on it.
    shares = stretches(len(sought.texts), QUERIES_AT_ONCE)
    with (
        Crew(address, ProposalWorker, sought, str(device), gpus=device.type != "cpu") as crew,
        Progress("mining", len(shares), unit="shares of the queries") as progress,
    ):
        yield from itertools.chain.from_iterable(all_done(crew, "propose", shares, progress.update))
