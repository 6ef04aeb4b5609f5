"""What a worker, an evaluation and a validation need of a ranker, whichever it is."""

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

from engine.types import Doubles, Ranked, RankQuery
from workers.ranker.stores.features import FeatureMaps

# From the maps of the parts; nothing where all of it is in a GPU's memory.
Reads = Literal["features", "stored contexts", "nothing"]


class Ranker(Protocol):
    """Refines and scores proposals. Not for use by several threads at once."""

    @property
    def name(self) -> str:
        """Of answers and logs: "relo@<fingerprint>" or "similarity-curve"."""

    @property
    def streams(self) -> Mapping[str, int]:
        """Width of each feature stream it reads; empty for frames as wide as the encoder makes them."""

    @property
    def token_width(self) -> int:
        """Width of the token states it reads; 0 if it reads none."""

    @property
    def reads(self) -> Reads:
        """What it reads of every part."""

    @property
    def batched(self) -> bool:
        """Whether several queries ranked together cost less than one after the other."""

    def rank_many(self, queries: Sequence[RankQuery], features: FeatureMaps) -> list[Ranked]:
        """Rank several queries' proposals together; one answer a query, rows in its proposals' order.

        features: of the videos that the queries name. Raises InvalidInput for a query that does not fit.
        """

    def found_many(self, queries: Sequence[RankQuery], features: FeatureMaps) -> list[Doubles]:
        """Return what each proposal has in it, (n, columns) a query: of a proposal alone, so without scores.

        The rows of a query's proposals may come of several calls; NaN fills those that are shorter.
        """

    def settled(self, query: RankQuery, found: Doubles, features: FeatureMaps) -> Ranked:
        """Make the answer to a query of what was found in its proposals; nothing is read."""


def ranked_or_found(
    ranker: Ranker, features: FeatureMaps, queries: Sequence[RankQuery]
) -> list[Ranked | Doubles]:
    """Answer queries together: to a part what was found, to one of which all was found its ranking."""
    found = iter(ranker.found_many([query for query in queries if query.found is None], features))
    answers: list[Ranked | Doubles] = []
    for query in queries:
        rows = next(found) if query.found is None else query.found
        answers.append(rows if query.part else ranker.settled(query, rows, features))
    return answers
