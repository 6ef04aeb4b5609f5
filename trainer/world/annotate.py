"""Captions and judged queries of a planned world, in the files that training and evaluation read."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from engine.files import replacing
from trainer.collection.annotations import JudgedMoment, JudgedQuery, save_corpus, save_queries
from trainer.world import language
from trainer.world.absent import absent
from trainer.world.judge import Ask, Judge, grades, similarities
from trainer.world.plan import SPLITS, Thing, VideoPlan, WorldEvent
from trainer.world.profile import PLAIN, Profile
from trainer.world.questions import Question, question
from trainer.world.slices import NO_ANSWER, QUESTION, STATEMENT, belongs, unanswerable
from trainer.world.stage import seen

# Queries per video of a split.
QUERIES_PER_VIDEO = {"train": 9, "val": 6, "test": 4}
# Pseudo positives of a training query; moments of relevance 0 of a judged one, beside all relevant ones.
PSEUDO_POSITIVES = 40
LISTED_ZEROS = 20
# Added to a query's id for the same in the form of a question.
_TWINS = 250_000


@dataclass(frozen=True, slots=True)
class CaptionedEvent:
    """An event in its video, with its caption, what one frame shows, and what is said, as reported."""

    video: VideoPlan
    event: WorldEvent
    caption: str
    still: str
    spoken: str | None


# A moment with its pair_id, the same in every file of a world.
Placed = tuple[int, CaptionedEvent]


def annotate(
    plans: Sequence[VideoPlan], seed: int, folder: Path, profile: Profile = PLAIN
) -> dict[str, list[JudgedQuery]]:
    """Write captions.jsonl and annotations/ under `folder`; return the queries by split."""
    moments = [moment for plan in plans for moment in _moments(plan)]
    _write_lines(folder / "captions.jsonl", map(_caption_line, moments))
    made = {}
    for place, split in enumerate(SPLITS):
        videos = [plan for plan in plans if plan.split == split]
        inside = [(pair, moment) for pair, moment in enumerate(moments) if moment.video.split == split]
        count = QUERIES_PER_VIDEO[split] * len(videos)
        queries = _queries(inside, count, split, [seed, 2**33, place], profile)
        queries += _without_answer(inside, count, split, [seed, 2**33 + 1, place], profile)
        save_corpus(
            folder / f"annotations/corpus_{split}.json", {plan.name: plan.duration for plan in videos}
        )
        save_queries(folder / f"annotations/{split}.json", queries)
        made[split] = queries
    return made


def _moments(plan: VideoPlan) -> list[CaptionedEvent]:
    rng = np.random.default_rng([plan.seed, plan.index, 2])
    return [
        CaptionedEvent(
            plan, event, language.caption(event, rng), language.still(event, rng), language.spoken(event, rng)
        )
        for event in plan.events
    ]


def _queries(
    inside: list[Placed], count: int, split: str, entropy: list[int], profile: Profile
) -> list[JudgedQuery]:
    rng = np.random.default_rng(entropy)
    events = [moment.event for _, moment in inside]
    judge, videos = Judge(events), [moment.video for _, moment in inside]
    choose = pseudo_positives if split == "train" else judged
    queries: list[JudgedQuery] = []
    pairs: list[JudgedQuery] = []
    for row, asking in enumerate(ask_questions(events, count, rng, profile.kinds)):
        many = profile.texts
        also = belongs(asking, judge.shares(asking.ask), videos, many) if profile is not PLAIN else ()
        query = JudgedQuery(
            _first_id(split) + row, asking.text, choose(asking.ask, judge, inside, rng), asking.slice, also
        )
        if asking.twin and profile.paired and rng.random() < profile.paired:
            twin = replace(query, query_id=query.query_id + _TWINS, query=asking.twin, also=(*also, QUESTION))
            query = replace(query, also=(*also, STATEMENT))
            pairs.append(twin)
        queries.append(query)
    return queries + pairs


def _without_answer(
    inside: list[Placed], count: int, split: str, entropy: list[int], profile: Profile
) -> list[JudgedQuery]:
    """Ask for what does not happen in the split: queries without moments. None in train."""
    if not profile.no_answer or split == "train":
        return []
    asked = unanswerable(
        [moment.event for _, moment in inside],
        round(profile.no_answer * count),
        absent(profile, inside[0][1].video.seed if inside else 0, split),
        profile.kinds,
        np.random.default_rng(entropy),
    )
    return [
        JudgedQuery(_first_id(split) + 500_000 + row, asking.text, (), NO_ANSWER)
        for row, asking in enumerate(asked)
    ]


def _first_id(split: str) -> int:
    return SPLITS.index(split) * 1_000_000


def ask_questions(
    events: Sequence[WorldEvent],
    count: int,
    rng: np.random.Generator,
    kinds: Mapping[str, float] = PLAIN.kinds,
) -> list[Question]:
    """Ask about random events, each sentence once; a tiny world runs out of them: fewer than `count`.

    kinds: the share of every kind of question.
    """
    asked: dict[str, Question] = {}
    kind = _kind(rng, kinds)
    for _ in range(40 * count if events else 0):
        if len(asked) == count:
            break
        asking = question(events[int(rng.integers(len(events)))], kind, rng)
        if asking and asking.text not in asked:
            asked[asking.text] = asking
            kind = _kind(rng, kinds)
        elif rng.random() < 0.05:
            # Perhaps no event here has anything of the kind.
            kind = _kind(rng, kinds)
    return list(asked.values())


def _kind(rng: np.random.Generator, kinds: Mapping[str, float]) -> str:
    return str(rng.choice(list(kinds), p=list(kinds.values())))


def pseudo_positives(
    ask: Ask, judge: Judge, inside: list[Placed], rng: np.random.Generator
) -> tuple[JudgedMoment, ...]:
    """Choose the moments with the most similar captions, unjudged."""
    similar = similarities(judge.shares(ask), rng)
    best = np.argsort(-similar, kind="stable")[:PSEUDO_POSITIVES]
    return tuple(_judged_moment(inside[row], float(similar[row]), None) for row in best if similar[row] > 0)


def judged(
    ask: Ask, judge: Judge, inside: list[Placed], rng: np.random.Generator
) -> tuple[JudgedMoment, ...]:
    """List all relevant moments of the split, best first, then the most similar of the others."""
    shares = judge.shares(ask)
    similar, grade = similarities(shares, rng), grades(shares)
    order = np.lexsort((-similar, -grade))
    kept = order[: int((grade > 0).sum()) + LISTED_ZEROS]
    return tuple(_judged_moment(inside[row], float(similar[row]), float(grade[row])) for row in kept)


def _judged_moment(placed: Placed, similarity: float, relevance: float | None) -> JudgedMoment:
    pair, moment = placed
    event, video = moment.event, moment.video
    written = f'"{event.sign.text}"' if event.sign else None
    caption = ", ".join(part for part in (moment.caption, moment.spoken, written) if part)
    return JudgedMoment(
        pair, video.name, event.start, event.end, video.duration, caption, similarity, relevance
    )


def _caption_line(moment: CaptionedEvent) -> dict[str, Any]:
    event = moment.event
    line = {
        "video": moment.video.name,
        "split": moment.video.split,
        "start": event.start,
        "end": event.end,
        "caption": moment.caption,
        "still": moment.still,
        "attributes": _attributes(event),
        "track": _track(event),
    }
    if event.speech:
        line |= {"subtitle": event.speech.text, "spoken": moment.spoken}
    if event.sign:
        line["written"] = event.sign.text
    return line


def _attributes(event: WorldEvent) -> dict[str, Any]:
    deed = event.deed
    attributes = _look(deed.thing) | {"motion": deed.motion, "background": event.background}
    if deed.times:
        attributes["times"] = deed.times
    if deed.other:
        attributes["other"] = _look(deed.other)
    if event.speech:
        attributes["facts"] = dict(event.speech.facts)
    return attributes


def _track(event: WorldEvent) -> list[list[float]]:
    """Return [second, x, y, height] of the thing, the middle of several, at seconds when it is seen."""
    track = []
    for second in range(math.ceil(event.start), math.ceil(event.end)):
        things = seen(event, second)
        if things:
            x, y = np.mean([(pose.x, pose.y) for pose in things], axis=0)
            track.append([second, round(float(x), 3), round(float(y), 3), round(things[0].height, 3)])
    return track


def _look(thing: Thing) -> dict[str, Any]:
    return {"shape": thing.shape, "colour": thing.colour, "size": thing.size, "number": thing.number}


def _write_lines(path: Path, lines: Iterable[dict[str, Any]]) -> None:
    with replacing(path) as partial, partial.open("w", encoding="utf-8") as file:
        for line in lines:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
