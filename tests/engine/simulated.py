"""A service of a few cores in virtual time, in front of which a `Line` admits searches."""

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from engine.errors import Overloaded
from engine.line import Line, State, Ticket

STEP = 0.005
CORES, WORK = 2, 0.05  # cores that searches share, and the mean seconds that one computes
PEAK = CORES / WORK


@dataclass(slots=True)
class Simulation:
    """What callers saw. answered, refused, late: by caller. most: tickets that were there at once."""

    line: Line
    seed: int = 0
    answered: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    late: Counter[str] = field(default_factory=Counter)
    here: dict[Ticket, float] = field(default_factory=dict)
    now: float = 0.0
    most: int = 0

    def run(self, rates: Mapping[str, float], deadline: float, seconds: float, ramp: float = 5.0) -> float:
        """Let each caller send at its rate; return the answers a second after `ramp` seconds."""
        rng = random.Random(self.seed)
        began, before = self.now, self.answered.total()
        while (now := self.now) < began + seconds:
            if now < began + ramp:
                before = self.answered.total()
            self.now += STEP
            for caller, rate in rates.items():
                if rng.random() < rate * STEP:
                    self._arrive(
                        Ticket(caller, 1.0, now + deadline, deadline), rng.expovariate(1 / WORK), now
                    )
            self._compute(now)
            self.most = max(self.most, len(self.here))
        return (self.answered.total() - before) / (seconds - ramp)

    def _arrive(self, ticket: Ticket, work: float, now: float) -> None:
        try:
            self.line.enter(ticket, now)
            self.here[ticket] = work
        except Overloaded:
            self.refused[ticket.caller] += 1

    def _compute(self, now: float) -> None:
        here = self.here
        running = [ticket for ticket in here if ticket.state is State.RUNNING]
        for ticket in running:
            here[ticket] -= STEP * min(1.0, CORES / len(running))
        for ticket in list(here):
            done = ticket.state is State.RUNNING and here[ticket] <= 0
            if ticket.state is State.REFUSED:
                self.refused[ticket.caller] += 1
            elif done and now <= ticket.ends:
                self.answered[ticket.caller] += 1
            elif now > ticket.ends:
                self.late[ticket.caller] += 1
            else:
                continue
            del here[ticket]
            self.line.leave(ticket, now, done)
