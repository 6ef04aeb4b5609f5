"""What happens when: strikes at processes and deeds of an operator, drawn from a seed alone."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

# How often, and how long at most (seconds), each strike is dealt.
STRIKES = {"kill": (6, 0.0), "stop": (2, 5.0), "slow": (2, 4.0), "pull": (1, 0.0)}
ROLES = {"index": 3, "ranker": 2, "coordinator": 2, "library": 3}
DEEDS = {"add": 5, "adds": 1, "delete": 4, "activate": 2, "rollback": 2, "compact": 2, "snapshot": 1, "gc": 1}
LONGEST_GAP = 5.0
SHORTEST = 0.3


@dataclass(frozen=True, slots=True)
class Strike:
    """gap: seconds since the check after the last one. kind: "kill", "stop", "slow"; "pull": kill all.

    number: which process of the role, modulo how many there are. seconds: how long it is stopped or slow.
    """

    gap: float
    kind: str
    role: str
    number: int
    seconds: float


def strikes(seed: int) -> Iterator[Strike]:
    """Yield strikes without end, the same ones for the same seed."""
    chance = random.Random(f"strikes {seed}")
    while True:
        (kind,) = chance.choices(list(STRIKES), [weight for weight, _ in STRIKES.values()])
        (role,) = chance.choices(list(ROLES), list(ROLES.values()))
        longest = STRIKES[kind][1]
        yield Strike(
            round(chance.uniform(0, LONGEST_GAP), 2),
            kind,
            role,
            chance.randrange(100),
            round(chance.uniform(SHORTEST, longest), 2) if longest else 0.0,
        )


def deeds(seed: int) -> Iterator[tuple[str, random.Random]]:
    """Yield kinds of deeds without end, each with what chooses its object, the same for the same seed."""
    chance = random.Random(f"deeds {seed}")
    while True:
        (kind,) = chance.choices(list(DEEDS), list(DEEDS.values()))
        yield kind, random.Random(chance.random())
