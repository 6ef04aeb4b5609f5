"""Moments of different videos that show the same pictures."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from engine import duplicates
from engine.choosing import chosen
from engine.looks import NONE, Look
from engine.offsets import Stretch, offsets
from engine.queries import SearchOptions
from engine.types import Also, Moments
from tests.engine.films import look

ORIGINAL = look(1, 1, 60)
Place = tuple[int, float, float]


def moments(*places: Place) -> Moments:
    n = len(places)
    return Moments(
        np.array([video for video, _, _ in places], np.int32),
        np.array([span for _, *span in places], np.float64),
        np.arange(n, 0.0, -1.0),
        np.zeros(n, np.float32),
        np.arange(n, dtype=np.int32),
        np.ones(n, np.bool_),
    )


def merged(looks: list[Look], *places: Place) -> list[tuple[int, list[int]]]:
    found = duplicates.merged(moments(*places), looks.__getitem__)
    assert found.also is not None
    return [
        (video, [one.video for one in also])
        for video, also in zip(found.videos.tolist(), found.also, strict=True)
    ]


def test_a_copy_is_found_however_it_was_encoded_and_wherever_it_was_cut() -> None:
    noise = np.random.default_rng(0).normal(4, 1, ORIGINAL.shape)
    encoded = (ORIGINAL + noise).clip(0, 255).astype(np.uint8)
    trimmed, cut = look(1, 1, 50, 5.4), ORIGINAL[18:34]
    looks = [ORIGINAL, ORIGINAL, encoded, trimmed, cut]
    places = ((0, 20.0, 30.0), (1, 20.0, 30.0), (2, 21.2, 30.7), (3, 14.6, 24.6), (4, 2.5, 12.0))
    assert merged(looks, *places) == [(0, [1, 2, 3, 4])]
    # The best one stays, whichever it is, and the others come in their order.
    assert merged(looks, *places[::-1]) == [(4, [3, 2, 1, 0])]


def test_what_is_another_recording_is_never_merged() -> None:
    same_place = [look(1, seed, 60) for seed in range(12)]
    places = [(video, start, start + 9.0) for start in (5.0, 22.0, 41.0) for video in range(12)]
    assert merged(same_place, *places) == [(video, []) for video, _, _ in places]


@pytest.mark.parametrize("still", [np.zeros((60, 64), np.uint8), ORIGINAL[:1].repeat(60, 0)])
def test_what_stands_still_is_no_evidence(still: Look) -> None:
    noise = np.random.default_rng(1).integers(0, 2, still.shape, np.uint8)
    assert merged([still, still + noise], (0, 5, 15), (1, 5, 15)) == [(0, []), (1, [])]


def test_other_moments_of_the_same_film_and_of_the_same_video_stay() -> None:
    looks = [ORIGINAL, ORIGINAL]
    places = ((0, 10, 18), (1, 30, 38), (0, 11, 19))
    assert merged(looks, *places) == [(0, []), (1, []), (0, [])]


def test_what_nobody_knows_the_looks_of_stays() -> None:
    assert merged([NONE, NONE, ORIGINAL[:2]], (0, 5, 15), (1, 5, 15), (2, 5, 15)) == [
        (0, []),
        (1, []),
        (2, []),
    ]


def test_a_moment_names_twenty_and_all_that_are_the_same_are_left_out() -> None:
    found = merged([ORIGINAL] * 30, *[(video, 10, 20) for video in range(30)])
    assert found == [(0, list(range(1, 21)))]


def test_duplicates_go_before_moments_are_counted_and_grouped() -> None:
    known = [ORIGINAL, ORIGINAL, look(1, 5, 60)].__getitem__
    listed = moments((0, 10, 20), (1, 10, 20), (2, 10, 20), (1, 40, 50))
    options = SearchOptions(merge_duplicates=True, per_video=1, grouped=True)
    found = chosen(listed, options, known)
    assert found.videos.tolist() == [0, 2, 1]
    assert found.also == ((Also(1, 10.0, 20.0),), (), ())
    assert chosen(listed, SearchOptions(), known).also is None


@pytest.mark.parametrize("seed", range(6))
def test_many_at_once_are_told_as_one_after_the_other_is(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(seed)
    films = [ORIGINAL, ORIGINAL[5:], ORIGINAL[:40], look(1, 1, 50, 5.4), look(2, 1, 60), look(1, 5, 60)]
    starts = rng.integers(0, 30, 50).tolist()
    places = [(n % len(films), start, start + 4 + 4 * (n % 3)) for n, start in enumerate(starts)]
    found = merged(films, *places)
    monkeypatch.setattr(duplicates, "TOGETHER", 1)
    assert found == merged(films, *places)
    assert len(found) < len(places)


def test_as_many_are_compared_as_are_asked_for() -> None:
    listed = moments((0, 10, 20), (1, 10, 20), (2, 10, 20))
    found = chosen(listed, SearchOptions(merge_duplicates=True), lambda _: ORIGINAL, most=2)
    assert found.videos.tolist() == [0, 2]
    assert found.also == ((Also(1, 10.0, 20.0),), ())


def test_a_list_of_one_or_none_has_none() -> None:
    assert merged([ORIGINAL]) == []
    assert merged([ORIGINAL], (0, 2.0, 9.0)) == [(0, [])]


def changes(stretch: Stretch) -> tuple[list[int], list[NDArray[np.float32]]]:
    """Return the seconds after which something changes, and what, one after the other."""
    for one in (stretch, stretch.wider()):
        found = [
            (second, one.look[second + 1].astype(np.float32) - one.look[second].astype(np.float32))
            for second in range(one.first, one.end - 1)
        ]
        found = [(second, change) for second, change in found if np.sqrt((change**2).mean()) > 1.5]
        if len(found) >= 3:
            return [second for second, _ in found], [c / np.linalg.norm(c) for _, c in found]
    return [], []


def offset(one: Stretch, other: Stretch) -> float:
    """Return what the probes of `one` vote for, found one after the other in `other`."""
    (rows, units), (seconds, places) = changes(one), changes(other)
    if not rows or not seconds:
        return math.nan
    at = [float(second) for second in seconds]
    for place in range(len(seconds) - 1):
        if seconds[place + 1] == seconds[place] + 1:
            both = places[place] + places[place + 1]
            at.append(seconds[place] + 0.5)
            places.append(both / np.linalg.norm(both))
    votes = []
    for probe in np.linspace(0, len(rows) - 1, 4).astype(int):
        alike = [float(units[probe] @ place) for place in places]
        best = int(np.argmax(alike))
        votes.append(at[best] - rows[probe] if alike[best] >= 0.7 else math.nan)
    agree = [sum(abs(vote - each) <= 1 for each in votes) for vote in votes]
    best = int(np.argmax(agree))
    return votes[best] if agree[best] >= 2 else math.nan


def test_offsets_are_those_of_each_pair_by_itself() -> None:
    films = [look(scene, seed, 60) for scene in (1, 2) for seed in (1, 2)]
    films += [look(1, 1, 50, 5.4), ORIGINAL[18:34], np.zeros((60, 64), np.uint8)]
    spans = [(video, start, start + 8.0) for start in (2.0, 6.5) for video in range(len(films))]
    stretches = [Stretch.of(films[video], *span) for video, *span in spans]
    videos = np.array([video for video, _, _ in spans], np.int32)
    wanted = [
        [math.nan if a == b else offset(x, y) for b, y in zip(videos, stretches, strict=True)]
        for a, x in zip(videos, stretches, strict=True)
    ]
    either = np.where(np.isnan(wanted), -np.array(wanted).T, wanted)
    assert np.isfinite(either).any()
    np.testing.assert_array_equal(offsets(videos, stretches), either)
