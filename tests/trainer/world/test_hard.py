"""The hard profile: look-alikes, hour-long videos, questions without an answer, and the slices they make."""

import collections
import dataclasses
import json
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from click.testing import CliRunner

from engine.errors import InvalidInput
from spr_cli.main import cli
from trainer.collection.annotations import JudgedQuery, load_queries
from trainer.world.absent import absent
from trainer.world.annotate import annotate
from trainer.world.build import build_world
from trainer.world.draw import Painter
from trainer.world.film import film
from trainer.world.judge import Judge, grades
from trainer.world.lookalike import TWIN, look_alike
from trainer.world.plan import SPLITS, VideoPlan
from trainer.world.planner import plan_video
from trainer.world.profile import HARD, PLAIN, profile_of
from trainer.world.slices import belongs
from trainer.world.vocabulary import COLOURS, DIRECTED_MOTIONS, SHAPES, TURNABLE

Queries = dict[str, list[JudgedQuery]]


@pytest.fixture(scope="module")
def plans() -> list[VideoPlan]:
    return [plan_video(1, index, HARD) for index in range(120)]


@pytest.fixture(scope="module")
def folder(plans: list[VideoPlan], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("hard")
    annotate(plans, 1, out, HARD)
    return out


@pytest.fixture(scope="module")
def queries(folder: Path) -> Queries:
    return {split: load_queries(folder / f"annotations/{split}.json") for split in SPLITS}


def test_a_plan_depends_on_seed_index_and_profile(plans: list[VideoPlan]) -> None:
    assert plan_video(1, 14, HARD) == plans[14]
    assert plan_video(1, 0) == plan_video(1, 0, PLAIN)
    # What the default world has always been.
    assert plan_video(7, 0).fingerprint() == "8eae3d0944901acc"
    assert plan_video(7, 61).fingerprint() == "a1cebf73e93e09df"


def test_val_and_test_have_hour_long_videos(plans: list[VideoPlan]) -> None:
    long = {split: [plan for plan in plans if plan.long and plan.split == split] for split in SPLITS}
    assert {split: len(found) for split, found in long.items()} == {"train": 0, "val": 1, "test": 2}
    for plan in (*long["val"], *long["test"]):
        assert 3000 <= plan.duration <= 4200
        assert 20 < len(plan.events) < 80
        assert sum(event.end - event.start for event in plan.events) < 0.3 * plan.duration
        # Nothing moves in most of it, so that it is quickly drawn and small on disk.
        painter = Painter(plan)
        assert painter.frame(1, 0.95) is painter.frame(0, 0.5)


def test_a_long_video_is_a_small_file_of_its_length(plans: list[VideoPlan], tmp_path: Path) -> None:

    plan = dataclasses.replace(plans[14], frames=240, subtitled=False)
    assert film(plan, tmp_path)
    assert not film(plan, tmp_path)
    with av.open(str(tmp_path / f"{plan.name}.mp4")) as container:
        times = [frame.time for frame in container.decode(container.streams.video[0])]
    assert times == pytest.approx([k / 2 for k in range(240)])


def test_videos_hold_look_alikes(plans: list[VideoPlan]) -> None:
    def twins(profile_plans: list[VideoPlan]) -> float:
        alike = total = 0
        for plan in profile_plans:
            told = {
                (event.deed.thing.shape, event.deed.thing.colour, event.deed.motion) for event in plan.events
            }
            total += len(told)
            alike += sum((shape, colour, TWIN.get(motion)) in told for shape, colour, motion in told)
        return alike / total

    assert twins(plans) > 3 * twins([plan_video(1, index) for index in range(120)])


def test_a_look_alike_differs_in_one_thing() -> None:
    rng = np.random.default_rng(0)
    deeds = [event.deed for index in range(80) for event in plan_video(2, index).events]
    for deed in deeds:
        other = look_alike(deed, rng)
        changed = (
            deed.thing.shape != other.thing.shape,
            deed.thing.colour != other.thing.colour,
            deed.motion != other.motion,
        )
        assert sum(changed) == 1, (deed, other)
        assert other.other == deed.other
        assert other.other is None or other.other.colour != other.thing.colour
        assert other.motion != "spin" or other.thing.shape in TURNABLE
        assert other.thing.size == "medium" or other.motion not in ("grow", "shrink")


def test_twins_are_what_one_frame_cannot_tell_apart() -> None:
    assert set(TWIN) == DIRECTED_MOTIONS
    assert all(TWIN[TWIN[motion]] == motion for motion in TWIN)


def test_queries_without_an_answer_have_none(plans: list[VideoPlan], queries: Queries) -> None:
    for split in SPLITS:
        found = [query for query in queries[split] if "no-answer" in query.slices]
        if split == "train":
            assert not found
            continue
        assert len(found) == round(HARD.no_answer * (len(queries[split]) - len(found)))
        assert all(query.moments == () and query.slices == ("no-answer",) for query in found)
        answered = {query.query for query in queries[split]} - {query.query for query in found}
        assert len({query.query for query in found} - answered) == len(found)
        # Every word of them does occur: none gives itself away.
        without = absent(HARD, 1, split)
        events = [event for plan in plans if plan.split == split for event in plan.events]
        assert len(without.deeds) == HARD.absent
        for shape, colour, motion in without.deeds:
            assert motion in {event.deed.motion for event in events}
            for event in events:
                thing = event.deed.thing
                shared = (thing.shape == shape) + (thing.colour == colour) + (event.deed.motion == motion)
                assert shared < 2
        assert {event.deed.thing.shape for event in events} == set(SHAPES)
        assert {event.deed.thing.colour for event in events} == set(COLOURS)
        said = {fact for event in events if event.speech for fact in event.speech.facts}
        assert not said & without.facts


def test_every_query_with_an_answer_has_a_full_one(queries: Queries) -> None:
    for split in ("val", "test"):
        for query in queries[split]:
            assert (max((m.relevance or 0 for m in query.moments), default=0) == 4) == bool(query.moments)


def test_every_slice_is_there(queries: Queries) -> None:
    kinds = {"precise", "imprecise", "temporal-only", "subtitle-only"}
    for split in ("val", "test"):
        counts = collections.Counter(name for query in queries[split] for name in query.slices)
        assert set(counts) == kinds | {"look-alike", "long-video", "no-answer"}
        assert min(counts.values()) >= 8
        assert {query.slice for query in queries[split]} == kinds | {"no-answer"}
    assert {query.slice for query in queries["train"]} == kinds


def test_slices_follow_the_answers(plans: list[VideoPlan], queries: Queries) -> None:
    long = {plan.name for plan in plans if plan.long}
    for query in queries["test"]:
        full = [moment for moment in query.moments if moment.relevance == 4]
        share = np.mean([moment.video in long for moment in full]) if full else 0.0
        assert ("long-video" in query.slices) == (share >= 0.5)
    assert all(query.asks_speech == (query.slice == "subtitle-only") for query in queries["test"])


def test_a_question_whose_video_holds_a_near_miss_is_a_look_alike(plans: list[VideoPlan]) -> None:
    from trainer.world.judge import Ask
    from trainer.world.questions import Question

    videos = [plans[0], plans[0], plans[1]]
    asking = Question("a red ball moves left", Ask(shape="ball"), "precise")
    assert belongs(asking, np.array([1.0, 0.6, 0.0]), videos) == ("look-alike",)
    assert belongs(asking, np.array([1.0, 0.0, 0.6]), videos) == ()
    assert belongs(asking, np.array([1.0, 0.9, 0.0]), videos) == ()


def test_subtitle_only_queries_ask_for_nothing_to_be_seen(plans: list[VideoPlan]) -> None:
    from trainer.world.questions import question

    rng = np.random.default_rng(0)
    events = [event for plan in plans for event in plan.events if event.speech]
    for event in events:
        asking = question(event, "subtitle-only", rng)
        assert asking is not None
        assert asking.ask.facts == event.speech.facts  # type: ignore[union-attr]
        assert (asking.ask.colour, asking.ask.shape, asking.ask.motions) == (None, None, frozenset())
        assert grades(Judge([event]).shares(asking.ask))[0] == 4


def test_the_command_says_what_the_world_is_made_of(tmp_path: Path) -> None:
    arguments = ["corpus", "render", str(tmp_path / "w"), "--videos", "3", "--profile", "hard"]
    result = CliRunner().invoke(cli, [*arguments, "--workers", "1", "--json"])
    assert result.exit_code == 0, result.output
    told: dict[str, Any] = json.loads(result.stdout)
    assert told["profile"] == "hard"
    assert told["slices"]["val"]["no-answer"] >= 1
    assert told["long_videos"] == {"train": [], "val": [], "test": []}
    with pytest.raises(InvalidInput, match="a world of profile hard, not plain"):
        build_world(tmp_path / "w", 3, 0, workers=1)
    with pytest.raises(InvalidInput, match="'odd' is no profile"):
        profile_of("odd")
