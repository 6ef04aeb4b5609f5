"""Plans: what the world promises about times, splits and repetition."""

import collections
import itertools

import pytest

from trainer.world.plan import FPS, SPLITS, VideoPlan
from trainer.world.planner import plan_video


@pytest.fixture(scope="module")
def plans() -> list[VideoPlan]:
    return [plan_video(3, index) for index in range(120)]


def test_a_plan_depends_on_seed_and_index_alone(plans: list[VideoPlan]) -> None:
    assert plan_video(3, 7) == plans[7]
    assert plan_video(3, 7).fingerprint() == plans[7].fingerprint()
    assert len({plan.fingerprint() for plan in [*plans, plan_video(4, 7)]}) == 121


def test_videos_are_half_a_minute_to_ten(plans: list[VideoPlan]) -> None:
    lengths = sorted(plan.duration for plan in plans)
    assert lengths[0] >= 30
    assert lengths[-1] <= 600
    assert 40 < lengths[len(lengths) // 2] < 70


def test_events_are_apart_and_inside(plans: list[VideoPlan]) -> None:
    for plan in plans:
        assert plan.events
        assert plan.events[0].start >= 1
        assert plan.events[-1].end <= plan.duration
        assert all(3 <= event.end - event.start <= 25.001 for event in plan.events)
        for before, after in itertools.pairwise(plan.events):
            assert after.start - before.end > 1.49


def test_event_times_follow_no_grid(plans: list[VideoPlan]) -> None:
    times = [time for plan in plans for event in plan.events for time in (event.start, event.end)]
    for step in (1.0, 1.5, 4.0, 1 / FPS):
        on_grid = [time for time in times if abs(time / step - round(time / step)) < 1e-6]
        assert len(on_grid) < 0.02 * len(times)
    # Anywhere between two whole seconds, evenly.
    quarters = collections.Counter(int(time % 1 * 4) for time in times)
    assert min(quarters.values()) > 0.15 * len(times)


def test_scenes_cover_the_video_and_change_only_between_events(plans: list[VideoPlan]) -> None:
    for plan in plans:
        assert plan.scenes[0].start == 0.0
        assert plan.scenes[-1].end == plan.duration
        for before, after in itertools.pairwise(plan.scenes):
            assert before.end == after.start
            assert not any(event.start < before.end < event.end for event in plan.events)
        for event in plan.events:
            scene = next(scene for scene in plan.scenes if scene.start <= event.start < scene.end)
            assert scene.background == event.background
    assert any(scene.fade for plan in plans for scene in plan.scenes)


def test_splits_are_about_six_one_three(plans: list[VideoPlan]) -> None:
    assert collections.Counter(plan.split for plan in plans) == {"train": 72, "val": 12, "test": 36}
    assert {plan.split for plan in plans[:3]} == set(SPLITS)


def test_deeds_repeat_within_and_across_videos(plans: list[VideoPlan]) -> None:
    within = sum(len(plan.events) - len({event.deed for event in plan.events}) for plan in plans)
    homes = collections.defaultdict(set)
    for plan in plans:
        for event in plan.events:
            homes[event.deed].add(plan.name)
    across = sum(len(videos) > 1 for videos in homes.values())
    assert within > 20
    assert across > 15


def test_words_are_spoken_while_the_event_lasts(plans: list[VideoPlan]) -> None:
    subtitled = [plan for plan in plans if plan.subtitled]
    assert 40 < len(subtitled) < 80
    assert not any(plan.lines for plan in plans if not plan.subtitled)
    spoken = [event for plan in subtitled for event in plan.events if event.speech]
    assert len(spoken) > 100
    for event in spoken:
        assert event.speech is not None
        assert event.start <= event.speech.start < event.speech.end <= event.end
        assert all(value in event.speech.text for _, value in event.speech.facts)
