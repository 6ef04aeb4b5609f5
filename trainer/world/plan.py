"""What happens in a video, as data: scenes, events and spoken lines."""

import dataclasses
import json
from dataclasses import dataclass

from engine.files import fingerprint
from trainer.world.vocabulary import Colour

# Raised whenever the same plan would look or sound different: finished videos are then rendered again.
RENDERER = 2
SIZE = 128
FPS = 8
# Out of ten videos in a row: about 60/10/30, and the first three already cover every split.
SPLIT_PATTERN = ("train", "test", "val", "train", "test", "train", "train", "test", "train", "train")
# A video this long is one that the slice "long-video" speaks of. Seconds.
LONG = 1800.0
SPLITS = ("train", "val", "test")


@dataclass(frozen=True, slots=True)
class Thing:
    """One kind of object: words of the vocabulary, and how many of it."""

    shape: str
    colour: str
    size: str
    number: int


@dataclass(frozen=True, slots=True)
class Deed:
    """Who does what: motion of a thing, how often (0 where uncounted), and the other thing of a pair."""

    thing: Thing
    motion: str
    times: int = 0
    other: Thing | None = None


@dataclass(frozen=True, slots=True)
class Animation:
    """How a deed is staged: place 0..1 in the frame, phase 0..1, rate in turns a second, sense -1 or 1."""

    x: float
    y: float
    phase: float
    rate: float
    sense: int


@dataclass(frozen=True, slots=True)
class SpokenLine:
    """A spoken line, when (seconds), and the facts in it as (kind, value)."""

    start: float
    end: float
    text: str
    facts: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Sign:
    """Lines of text on the screen, the facts in them as (kind, value), and whether they stand at its top."""

    lines: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]
    top: bool

    @property
    def text(self) -> str:
        """All lines as one."""
        return " ".join(self.lines)


@dataclass(frozen=True, slots=True)
class WorldEvent:
    """A deed in `[start, end)` seconds in front of a background, perhaps with a line spoken and a sign."""

    start: float
    end: float
    deed: Deed
    staging: Animation
    background: str
    speech: SpokenLine | None = None
    sign: Sign | None = None

    @property
    def facts(self) -> tuple[tuple[str, str], ...]:
        """What is said and what is written."""
        return (*(self.speech.facts if self.speech else ()), *(self.sign.facts if self.sign else ()))


@dataclass(frozen=True, slots=True)
class Distractor:
    """A small dull thing: place 0..1, drift in frames a second, height as share of the frame, RGB."""

    shape: str
    x: float
    y: float
    dx: float
    dy: float
    height: float
    colour: Colour


@dataclass(frozen=True, slots=True)
class Scene:
    """What is there in `[start, end)`: background, its random number, distractors; `fade`: how it begins."""

    start: float
    end: float
    background: str
    number: int
    fade: bool
    distractors: tuple[Distractor, ...]


@dataclass(frozen=True, slots=True)
class VideoPlan:
    """One video: frames at `fps`; scenes, events, spoken lines in order of time; noise amplitude 0..255.

    language: of the lines, ISO 639; "" for English.
    """

    name: str
    split: str
    seed: int
    index: int
    frames: int
    noise: int
    subtitled: bool
    scenes: tuple[Scene, ...]
    events: tuple[WorldEvent, ...]
    lines: tuple[SpokenLine, ...]
    fps: int = FPS
    language: str = ""

    @property
    def duration(self) -> float:
        """Seconds."""
        return self.frames / self.fps

    @property
    def long(self) -> bool:
        """Whether the video is about an hour long."""
        return self.duration >= LONG

    def fingerprint(self) -> str:
        """Return 16 hex digits that change with anything in the plan, and with the renderer."""
        fields = dataclasses.asdict(self)
        fps = fields.pop("fps")
        # As it was before there were texts, where there are none.
        for owner, name in [*((event, "sign") for event in fields["events"]), (fields, "language")]:
            if not owner[name]:
                del owner[name]
        plan = json.dumps(fields, sort_keys=True)
        return fingerprint(plan.encode(), f"{RENDERER} {SIZE} {fps}".encode())
