"""An evaluation on many machines: each worker opens the version, and answers shares of the queries."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.corpus import open_corpus
from engine.proposals import ProposalRule
from engine.texts import CHANNELS
from trainer.collection.annotations import JudgedQuery
from trainer.evaluation.offline import Offline, answers_to, check_holds, facts_of
from trainer.evaluation.runfile import STAGES, Predicted
from trainer.spread.crew import Crew
from trainer.spread.tasks import all_done, stretches

# Queries a share: a call costs a millisecond, a query several.
SHARE = 16
Run = dict[str, dict[int, list[Predicted]]]


@dataclass(frozen=True, slots=True)
class Asked:
    """A version, and how it is searched: as `Offline.open` and `answers_to` have it. collection: absolute."""

    collection: Path
    version: str
    chosen: Sequence[str] = CHANNELS
    segment_top_k: int | None = None
    rule: ProposalRule | None = None


class AnswerWorker:
    """Answers queries from a version that it opens once."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._version: Offline | None = None

    def answer(self, queries: Sequence[JudgedQuery]) -> tuple[Run, dict[str, object]]:
        """Return the answers to some queries, and who gave them."""
        asked = self._asked
        if self._version is None:
            self._version = Offline.open(asked.collection, asked.version, chosen=asked.chosen)
        run = answers_to(self._version, queries, asked.segment_top_k, asked.rule)
        return run, facts_of(self._version)


def search_spread(
    asked: Asked, queries: Sequence[JudgedQuery], address: str, on_done: Callable[[int], None]
) -> tuple[Run, dict[str, object]]:
    """Return what `search_offline` returns, and `facts_of` the version, from workers of a Ray cluster."""
    corpus = open_corpus(asked.collection, asked.version)
    check_holds(corpus, queries)
    pinned = Asked(asked.collection, corpus.id, asked.chosen, asked.segment_top_k, asked.rule)
    shares = stretches(len(queries), SHARE)
    with Crew(address, AnswerWorker, pinned) as crew:

        def told(done: int) -> None:
            on_done(min(len(queries), done * SHARE))

        parts = all_done(crew, "answer", [queries[share] for share in shares], told)
    runs = [run for run, _ in parts]
    whole: Run = {stage: {} for stage in STAGES}
    for run in runs:
        for stage, answers in run.items():
            whole[stage].update(answers)
    return whole, parts[0][1] if parts else {}
