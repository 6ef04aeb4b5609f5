"""Attributes held out of a split, so that questions about them have no answer there."""

import itertools
from dataclasses import dataclass

import numpy as np

from trainer.world import vocabulary as words
from trainer.world.plan import SPLITS, Deed, Thing
from trainer.world.profile import Profile


@dataclass(frozen=True, slots=True)
class Absent:
    """Looks and motions (shape, colour, motion) of which no two meet in any event, and facts nobody says.

    Each shape, colour and motion alone does occur: only what is asked as a whole does not.
    """

    deeds: tuple[tuple[str, str, str], ...] = ()
    facts: frozenset[tuple[str, str]] = frozenset()

    def allows(self, deed: Deed) -> bool:
        """Whether a deed shares at most one of the three with everything absent."""
        seen = [(thing.shape, thing.colour, deed.motion) for thing in (deed.thing, deed.other) if thing]
        pairs = itertools.product(self.deeds, seen)
        return all(sum(map(str.__eq__, absent, there)) < 2 for absent, there in pairs)

    def allows_facts(self, facts: dict[str, str]) -> bool:
        """Whether none of the facts of a spoken line is absent."""
        return not self.facts & facts.items()


NOTHING = Absent()


def absent(profile: Profile, seed: int, split: str) -> Absent:
    """Choose what a split of the world `seed` does without: nothing in train, so that all can be learnt."""
    if not profile.absent or split == "train":
        return NOTHING
    rng = np.random.default_rng([seed, 2**34, SPLITS.index(split)])
    motions = rng.choice([m for m in words.SINGLE_MOTIONS if m != "spin"], profile.absent, replace=False)
    deeds = tuple(
        (str(rng.choice(words.SHAPES)), str(rng.choice(list(words.COLOURS))), str(motion))
        for motion in motions
    )
    persons = rng.choice(words.PERSONS, profile.absent // 2, replace=False)
    topics = rng.choice(words.TOPICS, profile.absent // 4, replace=False)
    facts = [*(("person", str(name)) for name in persons), *(("topic", str(topic)) for topic in topics)]
    return Absent(deeds, frozenset(facts))


def absent_deed(combination: tuple[str, str, str], rng: np.random.Generator) -> Deed:
    """Return a deed of an absent combination, such as would have been filmed."""
    shape, colour, motion = combination
    number = int(rng.choice([1, 2, 3], p=[0.7, 0.18, 0.12]))
    size = "medium" if motion in ("grow", "shrink") else str(rng.choice(["small", "medium"]))
    times = int(rng.integers(2, 5)) if motion == "bounce" else 0
    return Deed(Thing(shape, colour, size, number), motion, times)
