"""Random changes of shards keep every invariant of a version, against a model of sets."""

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.entries import PartEntry, ShardEntry
from engine.entry_checks import check_version
from tests import plain
from trainer.library.changes import Place, Shards, deal, merged, with_part, without
from trainer.library.policy import MOST, deleted_share, to_merge

Model = dict[str, tuple[int, dict[int, int]]]  # part -> its shard, its living videos' segments by number


def part(name: str, counts: dict[int, int]) -> PartEntry:
    return PartEntry(name, "sha", len(counts), sum(counts.values()))


def empty(count: int) -> Shards:
    return tuple(ShardEntry(f"shard-{n:05d}", 0, 0) for n in range(count))


def check(shards: Shards, model: Model) -> None:
    check_version(plain.version(number=1, shards=shards), "version")
    for number, shard in enumerate(shards):
        mine = {name: living for name, (at, living) in model.items() if at == number}
        assert {one.id for one in shard.parts} == set(mine)
        assert shard.videos == sum(map(len, mine.values()))
        assert shard.segments == sum(sum(living.values()) for living in mine.values())
        for one in shard.parts:
            living = set(range(one.videos)) - set(one.deleted_videos().tolist())
            assert living == set(mine[one.id])


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_any_changes_keep_what_lives_and_its_counts(data: st.DataObject) -> None:
    shards = empty(data.draw(st.integers(1, 3)))
    model: Model = {}
    for step in range(data.draw(st.integers(1, 12))):
        listed = [name for name in model if model[name][1]]
        what = data.draw(st.sampled_from(["add", "delete", "merge"] if listed else ["add"]))
        if what == "add":
            counts = dict(enumerate(data.draw(st.lists(st.integers(1, 9), min_size=1, max_size=4))))
            (number,) = deal(shards, [sum(counts.values())])
            assert shards[number].segments == min(shard.segments for shard in shards)
            shards = with_part(shards, number, part(f"part-{step}", counts))
            model[f"part-{step}"] = (number, counts)
        elif what == "delete":
            name = data.draw(st.sampled_from(listed))
            living = model[name][1]
            gone = data.draw(st.sets(st.sampled_from(sorted(living)), min_size=1))
            shards = without(shards, [Place(name, number, living[number]) for number in gone])
            model[name] = (model[name][0], {n: s for n, s in living.items() if n not in gone})
            dead = [one for one in model if not model[one][1]]
            if len(dead) == len(model):
                # One is kept, with what further ones are made with.
                (kept,) = [one.id for shard in shards for one in shard.parts]
                dead.remove(kept)
            for one in dead:
                del model[one]
        else:
            number = model[data.draw(st.sampled_from(listed))][0]
            chosen = data.draw(
                st.sets(st.sampled_from([n for n in listed if model[n][0] == number]), min_size=1)
            )
            rows = [s for name in sorted(chosen) for s in model.pop(name)[1].values()]
            model[f"part-{step}"] = (number, dict(enumerate(rows)))
            shards = merged(shards, chosen, part(f"part-{step}", model[f"part-{step}"][1]))
        check(shards, model)


def test_the_same_part_comes_back_to_life() -> None:
    one = part("a", {0: 3, 1: 4})
    gone = dataclasses.replace(one, deleted=(0, 2))
    shards = with_part((ShardEntry("s", 0, 0, (gone,)),), 0, one)
    assert shards == (ShardEntry("s", 2, 7, (one,)),)


def test_a_part_that_comes_back_to_another_shard_is_no_longer_listed_in_the_first() -> None:
    one = part("a", {0: 3})
    shards = without(with_part(empty(2), 1, one), [Place("a", 0, 3)])
    # The last of all is kept; the first shard has as few living segments, and takes it.
    assert [len(shard.parts) for shard in shards] == [0, 1]
    check(with_part(shards, 0, one), {"a": (0, {0: 3})})


def test_a_part_is_not_listed_twice_while_a_video_of_it_lives() -> None:
    shards = with_part(empty(1), 0, part("a", {0: 3, 1: 4}))
    with pytest.raises(ValueError, match="listed already"):
        with_part(shards, 0, part("a", {0: 3, 1: 4}))


def test_what_does_not_live_cannot_be_deleted() -> None:
    shards = with_part(empty(1), 0, part("a", {0: 3, 1: 4}))
    for place in (Place("a", 2, 3), Place("b", 0, 3)):
        with pytest.raises(ValueError, match="part"):
            without(shards, [place])
    once = without(shards, [Place("a", 1, 4)])
    with pytest.raises(ValueError, match="living"):
        without(once, [Place("a", 1, 4)])


def test_a_merge_keeps_what_lives() -> None:
    shards = with_part(with_part(empty(2), 0, part("a", {0: 3})), 1, part("b", {0: 4}))
    with pytest.raises(ValueError, match="one shard"):
        merged(shards, {"a", "b"}, part("c", {0: 3, 1: 4}))
    with pytest.raises(ValueError, match="live"):
        merged(shards, {"a"}, part("c", {0: 3, 1: 4}))


def added(videos: list[int], built: int, idle: bool) -> tuple[list[PartEntry], int, int]:
    """Add videos of so many segments one by one; return the parts, the most at once, segments rewritten."""
    parts = [PartEntry("built", "", built, built)] if built else []
    most, rewritten = 0, 0

    def merge(chosen: tuple[PartEntry, ...], number: str) -> None:
        nonlocal parts, rewritten
        size = sum(one.segments for one in chosen)
        rewritten += size
        parts = [*(one for one in parts if one not in chosen), PartEntry(number, "", size, size)]

    for number, segments in enumerate(videos):
        if chosen := to_merge(parts, room=1):
            merge(chosen, f"room-{number}")
        parts.append(PartEntry(f"new-{number}", "", segments, segments))
        most = max(most, len(parts))
        while idle and (chosen := to_merge(parts, idle=True)):
            merge(chosen, f"idle-{number}-{len(parts)}")
    return parts, most, rewritten


@given(
    st.lists(st.integers(1, 50), min_size=1, max_size=300),
    st.sampled_from([0, 10, 5000]),
    st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_a_shard_never_has_more_than_eight_parts(videos: list[int], built: int, idle: bool) -> None:
    parts, most, _ = added(videos, built, idle)
    assert most <= MOST
    assert sum(one.segments for one in parts) == built + sum(videos)


@pytest.mark.parametrize("built", [0, 1000, 20_000])
@pytest.mark.parametrize("idle", [False, True])
def test_a_thousand_and_more_adds_rewrite_a_video_as_often_as_a_logarithm(built: int, idle: bool) -> None:
    for count in (1000, 8000):
        _, most, rewritten = added([7] * count, built, idle)
        assert most <= MOST
        assert rewritten / (7 * count) <= (built + count).bit_length()


def test_a_part_that_is_mostly_deleted_is_rewritten_when_there_is_time() -> None:
    worn = PartEntry("a", "", 10, 100, deleted=(0, 3))
    assert deleted_share(worn) == pytest.approx(0.3)
    assert to_merge([worn]) == ()
    assert to_merge([worn], idle=True) == (worn,)
    assert to_merge([dataclasses.replace(worn, deleted=(0, 2))], idle=True) == ()


def test_too_many_parts_are_merged_at_once() -> None:
    parts = [PartEntry(f"{n:02d}", "", 1, 2**n) for n in range(12)]
    chosen = to_merge(parts, room=1)
    assert len(parts) - len(chosen) + 1 + 1 <= MOST
    assert chosen == tuple(sorted(chosen, key=lambda one: -one.segments))
