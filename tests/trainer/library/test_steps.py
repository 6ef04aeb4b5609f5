"""The steps of the writer with real builds: codes and originals, deletes, purges, the bound of parts."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine import versions
from engine.corpus import open_corpus
from engine.entries import PartEntry
from engine.errors import NotFound, Unavailable
from engine.types import Floats
from tests.trainer.library import living
from tests.trainer.library.living import Content, Searcher, collection, copied, ingested, parts_of, store
from trainer.generation.build import BuildConfig, build
from trainer.generation.part import add_part
from trainer.library import merging
from trainer.library.adding import add
from trainer.library.compacting import compact, tidy
from trainer.library.deleting import delete
from trainer.library.kits import Kits
from trainer.library.policy import MOST
from workers.index.effort import Effort
from workers.index.part import DIRECTORY, IndexPart
from workers.index.vectors import vectors_of

VIDEOS: dict[str, Content] = {f"v{number:02d}": (number % 5, 5 + number) for number in range(12)}
CODES = "RaBitQfs,Refine(SQfp16)"


@pytest.fixture(scope="module")
def flat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return collection(tmp_path_factory.mktemp("flat") / "c", VIDEOS)


@pytest.fixture
def path(flat: Path, tmp_path: Path) -> Path:
    return copied(flat, tmp_path / "c")


def vectors(path: Path) -> dict[str, Floats]:
    """Return every living video's vectors as the parts hold them."""
    corpus = open_corpus(path)
    found = {}
    for part in corpus.parts:
        index = IndexPart.open(part.directory / DIRECTORY, "cpu")
        rows = vectors_of(index)
        for number in part.living:
            video = corpus.catalogue.ids[part.ordinals[number]]
            found[video] = rows[index.videos == number]
    return found


def test_after_changes_it_is_as_a_real_build_of_the_same_videos(path: Path, tmp_path: Path) -> None:
    kits = Kits("cpu")
    changed: dict[str, Content] = {"v03": (4, 8), "w": (1, 7), "x": (2, 30)}
    ingested(path, changed)
    add(path, changed, kits)
    delete(path, ["v00", "v07"])
    compact(path)
    left = {video: content for video, content in (VIDEOS | changed).items() if video not in ("v00", "v07")}
    other = collection(tmp_path / "other", left)
    mine, fresh = Searcher(path), Searcher(other)
    assert mine.features(mine.corpus()) == fresh.features(fresh.corpus())
    # Another build heard another mean of what is said: vectors are compared where nobody speaks.
    silent = [video for video, (seed, _) in left.items() if seed % 2 == 0]
    here, there = vectors(path), vectors(other)
    for video in silent:
        np.testing.assert_array_equal(here[video], there[video])


def of(part: Path) -> Effort:
    """Return how hard searches of a part try."""
    return IndexPart.open(part / DIRECTORY, "cpu").effort


@pytest.mark.parametrize("large", [False, True])
def test_codes_are_made_for_large_parts_alone_from_the_same_originals(
    tmp_path: Path, large: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = collection(tmp_path / "c", VIDEOS, index=CODES)
    kits = Kits("cpu")
    ingested(path, {"w": (1, 9), "x": (2, 9)})
    add(path, ["w", "x"], kits)
    small = {part.about.factory for part in open_corpus(path).parts}
    assert small == {CODES, "SQfp16"}
    before, answers = vectors(path), Searcher(path)
    (effort,) = {of(part.directory) for part in open_corpus(path).parts if part.about.factory == CODES}
    delete(path, ["v01"])
    told = answers.answers(answers.corpus(), 1000)
    monkeypatch.setattr(merging, "FLAT_VALUES", 0 if large else 10_000_000)
    compact(path)
    corpus = open_corpus(path)
    assert {part.about.factory for part in corpus.parts} == {CODES if large else "SQfp16"}
    assert all(("index/originals.faiss" in part.about.files) == large for part in corpus.parts)
    assert not large or {of(part.directory) for part in corpus.parts} == {effort}
    after = vectors(path)
    assert set(after) == set(before) - {"v01"}
    for video, rows in after.items():
        np.testing.assert_array_equal(rows, before[video])
    # All are fetched, so that codes miss none.
    assert answers.answers(answers.corpus(), 1000) == told


def test_adds_one_by_one_end_with_few_parts(path: Path) -> None:
    kits = Kits("cpu")
    for number in range(24):
        ingested(path, {f"new-{number}": (number % 5, 5)})
        add(path, [f"new-{number}"], kits)
        assert max(parts_of(path).values()) <= MOST
    assert len(living.living(path)) == len(VIDEOS) + 24
    while tidy(path) is not None:
        pass
    assert max(parts_of(path).values()) <= MOST


@pytest.mark.nightly
def test_a_thousand_adds_of_one_video_each_end_with_at_most_eight_parts(path: Path) -> None:
    kits = Kits("cpu")
    for number in range(1000):
        ingested(path, {f"new-{number}": (number % 5, 5)})
        add(path, [f"new-{number}"], kits)
        assert max(parts_of(path).values()) <= MOST
    assert len(living.living(path)) == len(VIDEOS) + 1000


def test_what_is_there_unchanged_makes_no_version(path: Path) -> None:
    before = versions.current(path)
    change = add(path, VIDEOS, Kits("cpu"))
    assert (change.version, change.videos, len(change.unchanged)) == (before, (), len(VIDEOS))
    assert versions.numbers(path) == [1]


def test_an_unknown_id_deletes_nothing_and_names_are_suggested(path: Path) -> None:
    with pytest.raises(NotFound, match="nothing was deleted: did you mean 'v"):
        delete(path, ["v01", "v0"])
    assert versions.numbers(path) == [1]
    assert "v01" in store(path, "r")


def test_of_two_ids_that_differ_in_their_unicode_form_one_is_added_and_deleted_alone(path: Path) -> None:
    apart, composed = "u\u0308ber", "\u00fcber"
    for video in (apart, composed):
        ingested(path, {video: (4, 8)})
        add(path, {video}, Kits("cpu"))
    assert {apart, composed} <= set(living.living(path))
    delete(path, [composed])
    # In the feature store alone.
    ingested(path, {composed: (4, 8)})
    delete(path, [composed])
    assert (apart in living.living(path), composed in store(path, "r").ids()) == (True, False)


def test_ids_that_are_typed_in_another_unicode_form_are_deleted(path: Path) -> None:
    ingested(path, {"u\u0308ber": (4, 8)})
    add(path, {"u\u0308ber"}, Kits("cpu"))
    assert delete(path, ["\u00fcber", "u\u0308ber", "v01"]).videos == ("u\u0308ber", "v01")
    assert not {"u\u0308ber", "v01"} & {*living.living(path), *store(path, "r").ids()}


def test_a_locked_feature_store_refuses_a_delete_before_anything_is_done(path: Path) -> None:
    with store(path), pytest.raises(Unavailable) as refused:
        delete(path, ["v01"])
    assert refused.value.reason == "STORE_LOCKED"
    assert "v01" in living.living(path)


def test_deleted_videos_do_not_come_back_with_the_next_build(path: Path) -> None:
    delete(path, ["v01"])
    build(BuildConfig(collection=path, device="cpu"))
    assert "v01" not in living.living(path)


def test_a_build_of_chosen_videos_keeps_what_was_added_since(path: Path) -> None:
    chosen = open_corpus(path).catalogue.ids[:2]
    file = path / "chosen.json"
    file.write_text(json.dumps(dict.fromkeys(chosen, 10.0)))
    build(BuildConfig(collection=path, videos=file, device="cpu"))
    ingested(path, {"added": (77, 9)})
    add(path, ["added"], Kits("cpu"))
    build(BuildConfig(collection=path, device="cpu", index="SQfp16"))
    assert living.living(path) == sorted([*chosen, "added"])


def test_a_change_does_not_undo_a_rollback_that_came_meanwhile(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = versions.current(path)
    ingested(path, {"first": (78, 9), "second": (79, 9)})
    first = add(path, ["first"], Kits("cpu")).version

    def and_roll_back(*arguments: Any) -> PartEntry:
        made = add_part(*arguments)
        versions.activate(path, before)
        return made

    with monkeypatch.context() as patched:
        patched.setattr("trainer.library.adding.add_part", and_roll_back)
        with pytest.raises(Unavailable, match="activated meanwhile") as refused:
            add(path, ["second"], Kits("cpu"))
    assert (refused.value.reason, versions.current(path)) == ("VERSION_CHANGED", before)
    add(path, ["second"], Kits("cpu"))
    assert "first" not in living.living(path)
    assert first in [versions.resolve(path, str(number)) for number in versions.numbers(path)]
