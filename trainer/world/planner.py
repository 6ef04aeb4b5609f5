"""Decide what happens in a video, all of it fixed by (seed, index)."""

import itertools

import numpy as np

from trainer.world import vocabulary as words
from trainer.world.absent import NOTHING, Absent, absent
from trainer.world.lookalike import look_alike
from trainer.world.plan import (
    FPS,
    SPLIT_PATTERN,
    Animation,
    Deed,
    Distractor,
    Scene,
    SpokenLine,
    Thing,
    VideoPlan,
    WorldEvent,
)
from trainer.world.profile import LONG_CYCLE, LONG_PLACES, PLAIN, Profile
from trainer.world.telling import told

# Deeds that all videos of a world share.
_CAST = 24
# Hour-long videos: few frames and few events, so that they cost little; seconds of pause between two.
_LONG_FPS = 2
_LONG_PAUSE = 60.0


def plan_video(seed: int, index: int, profile: Profile = PLAIN) -> VideoPlan:
    """Decide everything that happens in video `index` of the world `seed`."""
    rng = np.random.default_rng([seed, index, 0])
    split = SPLIT_PATTERN[index % len(SPLIT_PATTERN)]
    without = absent(profile, seed, split)
    long = profile.long_videos and index % LONG_CYCLE in LONG_PLACES
    fps = _LONG_FPS if long else FPS
    frames = round(_length(long, rng) * fps)
    spans = _spans(frames / fps, rng, _LONG_PAUSE if long else 4.0)
    scenes = _scenes(spans, frames / fps, rng, still=long)
    deeds = _deeds(len(spans), seed, rng, profile.look_alike, without)
    subtitled = bool(rng.random() < 0.5)
    events = tuple(
        WorldEvent(
            start,
            end,
            deed,
            _staging(deed, rng),
            _background(scenes, start),
            _speech(start, end, subtitled, rng, without),
        )
        for (start, end), deed in zip(spans, deeds, strict=True)
    )
    plan = VideoPlan(
        name=f"video_{index:05d}",
        split=split,
        seed=seed,
        index=index,
        frames=frames,
        noise=0 if long else int(rng.choice([0, 0, 2, 4, 6])),
        subtitled=subtitled,
        scenes=scenes,
        events=events,
        lines=_lines(events, frames / fps, rng) if subtitled else (),
        fps=fps,
    )
    return told(plan) if profile.texts else plan


def _length(long: bool, rng: np.random.Generator) -> float:
    return float(rng.uniform(3000.0, 4200.0) if long else min(30 + 25 * rng.lognormal(0.0, 0.9), 600.0))


def _spans(duration: float, rng: np.random.Generator, pause: float) -> list[tuple[float, float]]:
    """Place events of 3-25 s with gaps of 1.5 s and about `pause` more between them, at least one a video."""
    spans: list[tuple[float, float]] = []
    time = 1.0 + rng.exponential(3.0)
    while True:
        length = min(3.0 + rng.gamma(2.0, 3.5), 25.0)
        if time + length > duration - 0.5:
            break
        spans.append((round(time, 3), round(time + length, 3)))
        time += length + 1.5 + rng.exponential(pause)
    return spans or [(round(0.1 * duration + rng.random(), 3), round(0.6 * duration, 3))]


def _scenes(
    spans: list[tuple[float, float]], duration: float, rng: np.random.Generator, still: bool
) -> tuple[Scene, ...]:
    """Cut in the middle of some gaps, so that a deed never changes its background."""
    middles = [(before[1] + after[0]) / 2 for before, after in itertools.pairwise(spans)]
    cuts = [0.0, *(round(middle, 3) for middle in middles if rng.random() < 0.6), duration]
    scenes = []
    for start, end in itertools.pairwise(cuts):
        background, number = str(rng.choice(words.BACKGROUNDS)), int(rng.integers(2**31))
        fade = bool(rng.random() < 0.35)
        scenes.append(Scene(start, end, background, number, fade, _distractors(rng, still)))
    return tuple(scenes)


def _distractors(rng: np.random.Generator, still: bool) -> tuple[Distractor, ...]:
    def drift() -> float:
        return float(rng.normal(0, 0.04)) if not still and rng.random() < 0.5 else 0.0

    return tuple(
        Distractor(
            str(rng.choice(words.SHAPES)),
            float(rng.random()),
            float(rng.random()),
            drift(),
            drift(),
            float(rng.uniform(0.05, 0.1)),
            _dull(rng),
        )
        for _ in range(rng.integers(0, 4))
    )


def _dull(rng: np.random.Generator) -> words.Colour:
    """Choose a grey with a tint: nobody would call it by one of the colours' names."""
    level = int(rng.integers(60, 190))
    red, green, blue = (level + int(tint) for tint in rng.integers(-18, 19, 3))
    return red, green, blue


def _background(scenes: tuple[Scene, ...], time: float) -> str:
    return next(scene.background for scene in scenes if scene.start <= time < scene.end)


def _deeds(
    count: int, seed: int, rng: np.random.Generator, alike: float, without: Absent = NOTHING
) -> list[Deed]:
    """Choose new deeds, some of this video again, some of the cast that all videos of a world share.

    alike: share of deeds that are one of this video with one thing changed.
    """
    cast_rng = np.random.default_rng([seed, 2**32])
    cast = [_deed(cast_rng) for _ in range(_CAST)]
    deeds: list[Deed] = []
    while len(deeds) < count:
        dice = rng.random()
        if dice < 0.15 and deeds:
            deed = deeds[rng.integers(len(deeds))]
        elif dice < 0.35:
            deed = cast[rng.integers(_CAST)]
        elif dice < 0.35 + alike and deeds:
            deed = look_alike(deeds[rng.integers(len(deeds))], rng)
        else:
            deed = _deed(rng)
        if without.allows(deed):
            deeds.append(deed)
    return deeds


def _deed(rng: np.random.Generator) -> Deed:
    motion = str(rng.choice(list(words.MOTIONS)))
    paired = motion in words.PAIR_MOTIONS
    number = 1 if paired else int(rng.choice([1, 2, 3], p=[0.7, 0.18, 0.12]))
    sizes = ["small", "medium", "big"] if number == 1 and not paired else ["small", "medium"]
    size = "medium" if motion in ("grow", "shrink") else str(rng.choice(sizes))
    shape = str(rng.choice(words.TURNABLE if motion == "spin" else words.SHAPES))
    colour = str(rng.choice(list(words.COLOURS)))
    thing = Thing(shape, colour, size, number)
    times = int(rng.integers(2, 7)) if motion == "bounce" else 0
    return Deed(thing, motion, times if times <= 4 else 0, _other(thing, motion, rng) if paired else None)


def _other(thing: Thing, motion: str, rng: np.random.Generator) -> Thing:
    """Choose the second of a pair, of another colour; what hides something is a big box or ball."""
    colour = str(rng.choice([name for name in words.COLOURS if name != thing.colour]))
    if motion in words.MUTUAL_MOTIONS:
        return Thing(str(rng.choice(words.SHAPES)), colour, thing.size, 1)
    return Thing(str(rng.choice(["box", "ball"])), colour, "big", 1)


def _staging(deed: Deed, rng: np.random.Generator) -> Animation:
    rate = (
        float(rng.uniform(0.12, 0.22)) if deed.motion in ("spin", "circle") else float(rng.uniform(0.35, 0.6))
    )
    sense = int(rng.choice([-1, 1]))
    return Animation(
        float(rng.uniform(0.3, 0.7)), float(rng.uniform(0.3, 0.7)), float(rng.random()), rate, sense
    )


def _speech(
    start: float, end: float, subtitled: bool, rng: np.random.Generator, without: Absent
) -> SpokenLine | None:
    if not subtitled or rng.random() < 0.15:
        return None
    kinds, lines, _ = words.SPEECHES[rng.integers(len(words.SPEECHES))]
    facts = _facts(kinds, rng)
    while not without.allows_facts(facts):
        facts = _facts(kinds, rng)
    text = str(rng.choice(lines)).format(**facts)
    return _line(text, start + 0.15 * (end - start) * float(rng.random()), end, tuple(facts.items()))


def _facts(kinds: tuple[str, ...], rng: np.random.Generator) -> dict[str, str]:
    return {kind: str(rng.choice(words.FACTS[kind])) for kind in kinds}


def _line(text: str, start: float, latest: float, facts: tuple[tuple[str, str], ...] = ()) -> SpokenLine:
    """Speak at an easy pace, done before `latest`; to the millisecond, as subtitles are."""
    end = min(start + 0.6 + 0.38 * len(text.split()), latest - 0.1)
    return SpokenLine(round(start, 3), round(end, 3), text[0].upper() + text[1:], facts)


def _lines(
    events: tuple[WorldEvent, ...], duration: float, rng: np.random.Generator
) -> tuple[SpokenLine, ...]:
    """Return the lines of the events and, in gaps that are long enough, lines that say nothing."""
    lines = [event.speech for event in events if event.speech]
    ends = [0.0, *(event.end for event in events)]
    starts = [*(event.start for event in events), duration]
    for before, after in zip(ends, starts, strict=True):
        if after - before > 3.0 and rng.random() < 0.6:
            lines.append(_line(str(rng.choice(words.FILLERS)), before + 0.4, after))
    return tuple(sorted(lines, key=lambda line: line.start))
