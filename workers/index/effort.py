"""Search effort: candidates and inverted lists, and the least of both that reaches a recall."""

import dataclasses
import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

from engine.types import Doubles


@dataclass(frozen=True, slots=True)
class Effort:
    """factor: candidates a hit that are scored anew by their originals. nprobe: inverted lists to visit.

    Either is 0 where the index has no such thing.
    """

    factor: int = 0
    nprobe: int = 0

    def more(self, most: "Effort") -> list["Effort"]:
        """Return the next efforts: one number a step larger, up to `most`; none at the end."""
        wider = dataclasses.replace(self, nprobe=_larger(self.nprobe, most.nprobe))
        deeper = dataclasses.replace(self, factor=_larger(self.factor, most.factor))
        return [effort for effort in (wider, deeper) if effort != self]

    def halfway(self, more: "Effort") -> "Effort":
        """Return the effort in the middle of this one and a larger one, rounded down."""
        return Effort((self.factor + more.factor) // 2, (self.nprobe + more.nprobe) // 2)


def _larger(number: int, most: int) -> int:
    # Two steps double it: of whole doublings the last one may cost twice what the recall takes.
    return max(number, min(math.ceil(number * math.sqrt(2)), most))


def least(
    measure: Callable[[Effort], Doubles], start: Effort, most: Effort, asked: float
) -> tuple[Effort, float]:
    """Return the least effort from `start` to `most` that finds the recall `asked`, and its recall.

    measure: returns the recall of each query, (nq,). Their mean less its standard error is what must reach
    `asked`: an effort that these queries just reach misses it by that much with others. Where no effort
    reaches it so, the mean counts, and where that fails too, nothing more can be raised.
    """
    measured = functools.cache(measure)
    effort, found = _least(lambda tried: _certain(measured(tried)), start, most, asked)
    if found < asked:
        effort, _ = _least(lambda tried: float(measured(tried).mean()), start, most, asked)
    return effort, float(measured(effort).mean())


def _certain(recalls: Doubles) -> float:
    return float(recalls.mean() - recalls.std() / math.sqrt(len(recalls)))


def _least(
    measure: Callable[[Effort], float], start: Effort, most: Effort, asked: float
) -> tuple[Effort, float]:
    """Raise `start`, always by what finds more, until `measure` gives the recall `asked` or nothing is left.

    The last step is then made as short as it can be. Returns the effort and its recall, which is below what
    is asked only where nothing more can be raised.
    """
    before, effort, recall = start, start, measure(start)
    while recall < asked and (choices := effort.more(most)):
        before = effort
        effort, recall = max(((choice, measure(choice)) for choice in choices), key=lambda pair: pair[1])
    while recall >= asked and (half := before.halfway(effort)) not in (before, effort):
        found = measure(half)
        if found >= asked:
            effort, recall = half, found
        else:
            before = half
    return effort, recall
