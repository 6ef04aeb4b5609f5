"""A world's profile: how its events are chosen and which questions are asked of it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from engine.errors import InvalidInput

# Of two hundred videos in a row, the places of the hour-long ones: two of test, one of val.
LONG_CYCLE, LONG_PLACES = 200, (14, 52, 114)


@dataclass(frozen=True, slots=True)
class Profile:
    """How a world is made.

    kinds: share of every kind of question (trainer/world/questions.py). look_alike: share of events that
    repeat one of their video with one thing changed. no_answer: questions about what does not happen, for
    each one that has an answer. absent: how many combinations val and test do without, and names and
    topics in proportion. long_videos: whether val and test have hour-long ones. texts: whether something is
    written on the screen, and lines paraphrase or are German (trainer/world/telling.py). paired: the share of
    questions that are asked in both forms, as a statement and as a question.
    """

    name: str
    kinds: Mapping[str, float]
    look_alike: float = 0.0
    no_answer: float = 0.0
    absent: int = 0
    long_videos: bool = False
    texts: bool = False
    paired: float = 0.0


PLAIN = Profile(
    "plain", MappingProxyType({"precise": 0.4, "imprecise": 0.2, "temporal": 0.2, "subtitle": 0.2})
)
HARD = Profile(
    "hard",
    MappingProxyType({"precise": 0.3, "glimpse": 0.25, "temporal-only": 0.25, "subtitle-only": 0.2}),
    look_alike=0.3,
    no_answer=0.2,
    absent=8,
    long_videos=True,
)
TEXTS = replace(
    PLAIN,
    name="texts",
    kinds=MappingProxyType(
        {
            "precise": 0.3,
            "imprecise": 0.14,
            "temporal": 0.14,
            "subtitle": 0.16,
            "screen-text-only": 0.12,
            "paraphrase": 0.08,
            "second-language": 0.06,
        }
    ),
    texts=True,
    paired=0.15,
)
HARD_TEXTS = replace(
    HARD,
    name="hard-texts",
    kinds=MappingProxyType(
        {
            "precise": 0.22,
            "glimpse": 0.16,
            "temporal-only": 0.16,
            "subtitle-only": 0.14,
            "screen-text-only": 0.14,
            "paraphrase": 0.1,
            "second-language": 0.08,
        }
    ),
    texts=True,
    paired=0.15,
)
PROFILES = {profile.name: profile for profile in (PLAIN, HARD, TEXTS, HARD_TEXTS)}


def profile_of(name: str) -> Profile:
    """Return a profile by its name; InvalidInput names those there are."""
    if name not in PROFILES:
        raise InvalidInput(f"{name!r} is no profile of a world; there are {', '.join(PROFILES)}.")
    return PROFILES[name]
