"""The vocabulary: shapes, colours, motions, facts, and the words for them."""

from typing import NamedTuple

Colour = tuple[int, int, int]

COLOURS: dict[str, Colour] = {
    "red": (222, 36, 36),
    "green": (32, 176, 64),
    "blue": (44, 84, 232),
    "yellow": (244, 220, 40),
    "purple": (150, 44, 190),
    "orange": (246, 136, 24),
    "white": (248, 248, 248),
}
COLOUR_WORDS: dict[str, tuple[str, ...]] = {
    "red": ("red", "red", "crimson"),
    "green": ("green", "green", "emerald"),
    "blue": ("blue", "blue", "azure"),
    "yellow": ("yellow", "yellow", "golden"),
    "purple": ("purple", "purple", "violet"),
    "orange": ("orange",),
    "white": ("white", "white", "snowy"),
}

# A turned ball or ring looks the same: only the first four spin.
TURNABLE = ("box", "triangle", "star", "cross")
SHAPES = (*TURNABLE, "ball", "ring")
SHAPE_WORDS: dict[str, tuple[tuple[str, str], ...]] = {
    "box": (("box", "boxes"), ("square", "squares")),
    "triangle": (("triangle", "triangles"), ("pyramid", "pyramids")),
    "star": (("star", "stars"),),
    "cross": (("cross", "crosses"), ("plus sign", "plus signs")),
    "ball": (("ball", "balls"), ("circle", "circles")),
    "ring": (("ring", "rings"), ("hoop", "hoops")),
}

# Height of a thing as a share of the frame's.
SIZES: dict[str, float] = {"small": 0.17, "medium": 0.26, "big": 0.38}
SIZE_WORDS: dict[str, tuple[str, ...]] = {
    "small": ("small", "little", "tiny"),
    "medium": ("",),
    "big": ("big", "large", "huge"),
}
NUMBER_WORDS: dict[int, tuple[str, ...]] = {1: ("a",), 2: ("two", "a pair of"), 3: ("three",)}
TIMES_WORDS: dict[int, tuple[str, ...]] = {2: ("twice", "two times"), 3: ("three times",), 4: ("four times",)}

BACKGROUNDS = ("plain", "gradient", "stripes", "checker", "noise")
BACKGROUND_WORDS: dict[str, tuple[str, ...]] = {
    "plain": ("on a plain background", "in front of a plain wall"),
    "gradient": ("against a shaded sky", "on a shaded background"),
    "stripes": ("on stripes", "in front of a striped wall"),
    "checker": ("on a checkered floor", "over a chessboard"),
    "noise": ("on rough ground", "over a grainy wall"),
}


class Verb(NamedTuple):
    """One way to say a motion: "move", "moves", "moving", and what follows."""

    base: str
    third: str
    gerund: str
    rest: str


def _verbs(*forms: str) -> tuple[Verb, ...]:
    """Parse "move moves moving to the left"."""
    parts = (form.split(" ", 3) for form in forms)
    return tuple(Verb(p[0], p[1], p[2], p[3] if len(p) > 3 else "") for p in parts)


MOTIONS: dict[str, tuple[Verb, ...]] = {
    "left": _verbs(
        "move moves moving to the left", "slide slides sliding left", "go goes going from right to left"
    ),
    "right": _verbs(
        "move moves moving to the right", "slide slides sliding right", "go goes going from left to right"
    ),
    "up": _verbs("move moves moving up", "rise rises rising to the top", "climb climbs climbing upwards"),
    "down": _verbs(
        "move moves moving down", "sink sinks sinking to the bottom", "come comes coming downwards"
    ),
    "bounce": _verbs("bounce bounces bouncing", "jump jumps jumping", "hop hops hopping up and down"),
    "spin": _verbs("spin spins spinning", "rotate rotates rotating", "turn turns turning around"),
    "circle": _verbs("circle circles circling", "go goes going round in circles", "orbit orbits orbiting"),
    "grow": _verbs("grow grows growing", "get gets getting bigger", "become becomes becoming larger"),
    "shrink": _verbs("shrink shrinks shrinking", "get gets getting smaller", "become becomes becoming tiny"),
    "blink": _verbs(
        "blink blinks blinking", "flash flashes flashing on and off", "flicker flickers flickering"
    ),
    "rest": _verbs("stand stands standing still", "rest rests resting", "stay stays staying in place"),
    "meet": _verbs(
        "meet meets meeting", "come comes coming together with", "approach approaches approaching"
    ),
    "part": _verbs("leave leaves leaving", "move moves moving away from", "part parts parting from"),
    "hide": _verbs("hide hides hiding behind", "disappear disappears disappearing behind"),
    "emerge": _verbs("emerge emerges emerging from behind", "come comes coming out from behind"),
}
SINGLE_MOTIONS = tuple(MOTIONS)[:11]
PAIR_MOTIONS = tuple(MOTIONS)[11:]
# Both things of these do the same, so either may be the subject.
MUTUAL_MOTIONS = frozenset({"meet", "part"})
# What one frame cannot tell from its twin.
DIRECTED_MOTIONS = frozenset(
    {"left", "right", "up", "down", "grow", "shrink", "meet", "part", "hide", "emerge"}
)

# Imprecise verbs, and the motions each accepts.
VAGUE_VERBS: tuple[tuple[Verb, frozenset[str]], ...] = tuple(
    (_verbs(form)[0], frozenset(motions.split()))
    for form, motions in (
        ("move moves moving", "left right up down bounce circle meet part hide emerge"),
        ("move moves moving sideways", "left right"),
        ("travel travels travelling up or down", "up down bounce"),
        ("change changes changing its size", "grow shrink"),
        ("turn turns turning", "spin circle"),
        ("come comes coming and go", "blink bounce hide emerge"),
        ("do does doing nothing", "rest"),
    )
)

PERSONS = (
    "Maria",
    "Tom",
    "Aisha",
    "Felix",
    "Hana",
    "Igor",
    "Lucia",
    "Noah",
    "Priya",
    "Victor",
    "Yuki",
    "Zara",
)
PLACES = (
    "garden",
    "kitchen",
    "harbour",
    "library",
    "school",
    "market",
    "station",
    "castle",
    "farm",
    "museum",
)
MOODS = ("happy", "sad", "angry", "tired", "nervous", "proud", "bored", "excited")
TOPICS = ("music", "the weather", "football", "cooking", "space travel", "money", "history", "dinosaurs")

# The facts a spoken line carries, the line, and ways to ask for it.
SpokenLine = tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]
SPEECHES: tuple[SpokenLine, ...] = (
    (
        ("person", "place"),
        (
            "this is {person}'s {place}",
            "welcome to {person}'s {place}",
            "look, {person} is back in the {place}",
        ),
        ("we hear about {person}'s {place}", "someone mentions {person} and the {place}"),
    ),
    (
        ("person", "mood"),
        ("{person} looks so {mood} today", "I have never seen {person} this {mood}"),
        ("we hear that {person} is {mood}", "someone says {person} feels {mood}"),
    ),
    (
        ("topic",),
        ("let's talk about {topic} for a moment", "and that brings us to {topic}"),
        ("someone talks about {topic}", "the part about {topic}"),
    ),
    (
        ("person", "topic"),
        ("{person} told me everything about {topic}", "{person} knows a lot about {topic}"),
        ("someone says that {person} knows {topic}", "{person} and {topic} are mentioned"),
    ),
    (
        ("place", "mood"),
        ("it feels {mood} here in the {place}", "everybody is {mood} at the {place}"),
        ("someone calls the {place} {mood}", "we hear that the {place} feels {mood}"),
    ),
)
FACTS: dict[str, tuple[str, ...]] = {"person": PERSONS, "place": PLACES, "mood": MOODS, "topic": TOPICS}
FILLERS = (
    "well, let's see what comes next",
    "hm, nothing much is going on here",
    "okay, wait for it",
    "so, where were we",
    "did you see that?",
    "and on it goes",
)
