import contextlib
import sqlite3
import unicodedata
from pathlib import Path

import numpy as np
import pytest

from engine.catalogue import CATALOGUE, Catalogue, PartCatalogue, merged
from engine.errors import Mismatch, NotFound
from engine.facts import Facts


def catalogue(*ids: str) -> PartCatalogue:
    n = len(ids)
    return PartCatalogue(
        ids=list(ids),
        uris=[f"file:///{video}.mp4" for video in ids],
        durations=np.linspace(1.5, 9.25, n),
        segments=np.arange(1, n + 1, dtype=np.int32),
    )


def none() -> "np.ndarray[tuple[int], np.dtype[np.int32]]":
    return np.zeros(0, np.int32)


def test_columns_come_back_as_they_were(tmp_path: Path) -> None:
    written = catalogue("B", "a", "clip 2", "é")
    written.write(tmp_path)
    opened = PartCatalogue.open(tmp_path)
    assert opened.ids == written.ids
    assert opened.uris == written.uris
    for name in ("durations", "segments"):
        np.testing.assert_array_equal(getattr(opened, name), getattr(written, name))
        assert getattr(opened, name).dtype == getattr(written, name).dtype
    assert len(opened) == 4


def test_a_read_only_catalogue_opens_and_leaves_nothing_behind(tmp_path: Path) -> None:
    catalogue("a").write(tmp_path)
    (tmp_path / CATALOGUE).chmod(0o444)
    tmp_path.chmod(0o555)
    try:
        assert PartCatalogue.open(tmp_path).ids == ["a"]
    finally:
        tmp_path.chmod(0o755)
    assert [path.name for path in tmp_path.iterdir()] == [CATALOGUE]


def test_the_same_videos_make_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        catalogue("a", "b").write(tmp_path / name)
    assert (tmp_path / "one" / CATALOGUE).read_bytes() == (tmp_path / "two" / CATALOGUE).read_bytes()


def test_unsorted_or_repeated_ids_are_a_bug(tmp_path: Path) -> None:
    for ids in (("b", "a"), ("a", "a")):
        with pytest.raises(ValueError, match="sorted"):
            catalogue(*ids).write(tmp_path)


def test_a_missing_catalogue_is_named(tmp_path: Path) -> None:
    with pytest.raises(Mismatch, match=CATALOGUE):
        PartCatalogue.open(tmp_path)


def test_a_broken_catalogue_is_refused(tmp_path: Path) -> None:
    (tmp_path / CATALOGUE).write_bytes(b"not a database at all" * 100)
    with pytest.raises(Mismatch, match=CATALOGUE):
        PartCatalogue.open(tmp_path)


def test_a_catalogue_that_lost_a_video_is_refused(tmp_path: Path) -> None:
    catalogue("a", "b", "c").write(tmp_path)
    database = sqlite3.connect(tmp_path / CATALOGUE)
    with database:
        database.execute("delete from videos where id = 'b'")
    database.close()
    with pytest.raises(Mismatch, match="skips a number"):
        PartCatalogue.open(tmp_path)


def test_an_empty_catalogue_is_empty(tmp_path: Path) -> None:
    catalogue().write(tmp_path)
    assert len(PartCatalogue.open(tmp_path)) == 0


def test_ordinals_are_places_among_the_sorted_ids_of_all_living_videos() -> None:
    parts = [catalogue("b", "d"), catalogue("a", "c", "e")]
    found, ordinals = merged(parts, [1, 0], [none(), np.array([1], np.int32)])
    assert found.ids == ["a", "b", "d", "e"]
    assert [places.tolist() for places in ordinals] == [[1, 2], [0, -1, 3]]
    assert found.shards.tolist() == [0, 1, 1, 0]
    assert found.uris[2] == "file:///d.mp4"
    assert found.segments.tolist() == [1, 1, 2, 3]


def test_a_version_is_the_same_however_its_videos_are_parted() -> None:
    whole = catalogue("a", "b", "c", "d")
    one, _ = merged([whole], [0], [none()])
    rows = np.arange(4)
    pieces = [whole.of(rows[[1, 3]]), whole.of(rows[[0]]), whole.of(rows[[0, 2]])]
    other, _ = merged(pieces, [0, 0, 0], [none(), np.array([0], np.int32), none()])
    assert one.ids == other.ids
    assert one.uris == other.uris
    np.testing.assert_array_equal(one.durations, other.durations)
    np.testing.assert_array_equal(one.segments, other.segments)


def test_a_video_that_lives_twice_is_named() -> None:
    with pytest.raises(ValueError, match="'b' lives in two parts"):
        merged([catalogue("a", "b"), catalogue("b")], [0, 1], [none(), none()])


def test_nothing_merged_is_an_empty_catalogue() -> None:
    found, ordinals = merged([], [], [])
    assert (len(found), ordinals) == (0, [])
    assert found.segments.dtype == found.shards.dtype == np.int32


def test_a_video_is_found_by_its_id() -> None:
    found, _ = merged([catalogue("a", "b", "c")], [0], [none()])
    assert isinstance(found, Catalogue)
    assert found.ordinal("c") == 2
    assert "c" in found
    with pytest.raises(NotFound, match="'d'"):
        found.ordinal("d")


def test_an_id_is_known_in_any_unicode_form() -> None:
    composed, apart = "caf\u00e9", "na\u0131\u0308f"
    found, _ = merged(
        [catalogue(*sorted([composed, unicodedata.normalize("NFD", "\u00fcber"), apart]))], [0], [none()]
    )
    for typed in (composed, "u\u0308ber", apart):
        for form in ("NFC", "NFD"):
            asked = unicodedata.normalize(form, typed)
            assert found.find(asked) == found.ordinal(asked)
            assert unicodedata.normalize("NFC", found.ids[found.ordinal(asked)]) == unicodedata.normalize(
                "NFC", typed
            )
    assert found.find("cafe") is None
    # As it is typed comes first.
    both, _ = merged([catalogue("e\u0301", "\u00e9")], [0], [none()])
    assert [both.ordinal(video) for video in both.ids] == [0, 1]


def test_facts_come_back_through_parts_and_versions(tmp_path: Path) -> None:
    known = Facts([("news", "rome"), ()], np.array([1.5, np.nan]), np.array([np.nan, 7.0]))
    PartCatalogue(["a", "c"], ["", ""], np.ones(2), np.ones(2, np.int32), known).write(tmp_path)
    opened = PartCatalogue.open(tmp_path)
    whole, _ = merged([opened, catalogue("b")], [0, 1], [none(), none()])
    assert whole.ids == ["a", "b", "c"]
    assert whole.facts.labels == [("news", "rome"), (), ()]
    np.testing.assert_array_equal(whole.facts.dates, [1.5, np.nan, np.nan])
    np.testing.assert_array_equal(whole.facts.added, [np.nan, np.nan, 7.0])


@pytest.mark.parametrize("damage", ["delete from facts where number = 0", "update facts set labels = '{'"])
def test_damaged_facts_are_refused(tmp_path: Path, damage: str) -> None:
    catalogue("a", "b").write(tmp_path)
    with contextlib.closing(sqlite3.connect(tmp_path / CATALOGUE)) as database, database:
        database.execute(damage)
    with pytest.raises(Mismatch, match=CATALOGUE):
        PartCatalogue.open(tmp_path)


def test_a_catalogue_of_the_first_release_knows_no_facts(tmp_path: Path) -> None:
    catalogue("a", "b").write(tmp_path)
    with contextlib.closing(sqlite3.connect(tmp_path / CATALOGUE)) as database, database:
        database.execute("drop table facts")
    assert PartCatalogue.open(tmp_path).known.labels == [(), ()]
