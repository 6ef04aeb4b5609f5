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
    longest: float = 0.0
    most: int = 0

    def run(self, rates: Mapping[str, float], deadline: float, seconds: float, ramp: float = 5.0) -> float:
        """Let each caller send at its rate; return the answers a second after `ramp` seconds."""
        rng = random.Random(self.seed)
        here: dict[Ticket, float] = {}
        now, before = 0.0, 0
        while now < seconds:
            if now < ramp:
                before = self.answered.total()
            now += STEP
            for caller, rate in rates.items():
                if rng.random() < rate * STEP:
                    self._arrive(here, Ticket(caller, 1.0, now + deadline), rng.expovariate(1 / WORK), now)
            self._compute(here, now)
            self.most = max(self.most, len(here))
        return (self.answered.total() - before) / (seconds - ramp)

    def _arrive(self, here: dict[Ticket, float], ticket: Ticket, work: float, now: float) -> None:
        try:
            self.line.enter(ticket, now)
            here[ticket] = work
        except Overloaded:
            self.refused[ticket.caller] += 1

    def _compute(self, here: dict[Ticket, float], now: float) -> None:
        running = [ticket for ticket in here if ticket.state is State.RUNNING]
        for ticket in running:
            here[ticket] -= STEP * min(1.0, CORES / len(running))
        for ticket in list(here):
            done = ticket.state is State.RUNNING and here[ticket] <= 0
            if ticket.state is State.REFUSED:
                self.refused[ticket.caller] += 1
            elif done and now <= ticket.ends:
                self.answered[ticket.caller] += 1
                self.longest = max(self.longest, now - ticket.ends + ticket.given)
            elif now > ticket.ends:
                self.late[ticket.caller] += 1
            else:
                continue
            del here[ticket]
            self.line.leave(ticket, now, done)
