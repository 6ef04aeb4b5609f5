import sqlite3
from pathlib import Path

import numpy as np
import pytest

from engine.catalogue import CATALOGUE, Catalogue
from engine.errors import Mismatch, NotFound


def catalogue(*ids: str) -> Catalogue:
    n = len(ids)
    return Catalogue(
        ids=list(ids),
        uris=[f"file:///{video}.mp4" for video in ids],
        durations=np.linspace(1.5, 9.25, n),
        segments=np.arange(1, n + 1, dtype=np.int32),
        shards=np.arange(n, dtype=np.int32) % 2,
    )


def test_columns_come_back_as_they_were(tmp_path: Path) -> None:
    written = catalogue("B", "a", "clip 2", "é")
    written.write(tmp_path)
    opened = Catalogue.open(tmp_path)
    assert opened.ids == written.ids
    assert opened.uris == written.uris
    for name in ("durations", "segments", "shards"):
        np.testing.assert_array_equal(getattr(opened, name), getattr(written, name))
        assert getattr(opened, name).dtype == getattr(written, name).dtype
    assert len(opened) == 4


def test_a_read_only_catalogue_opens_and_leaves_nothing_behind(tmp_path: Path) -> None:
    catalogue("a").write(tmp_path)
    (tmp_path / CATALOGUE).chmod(0o444)
    tmp_path.chmod(0o555)
    try:
        assert Catalogue.open(tmp_path).ids == ["a"]
    finally:
        tmp_path.chmod(0o755)
    assert [path.name for path in tmp_path.iterdir()] == [CATALOGUE]


def test_the_same_videos_make_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        catalogue("a", "b").write(tmp_path / name)
    assert (tmp_path / "one" / CATALOGUE).read_bytes() == (tmp_path / "two" / CATALOGUE).read_bytes()


def test_a_video_is_found_by_its_id() -> None:
    assert catalogue("a", "b", "c").ordinal("c") == 2
    with pytest.raises(NotFound, match="'d'"):
        catalogue("a").ordinal("d")


def test_unsorted_or_repeated_ids_are_a_bug(tmp_path: Path) -> None:
    for ids in (("b", "a"), ("a", "a")):
        with pytest.raises(ValueError, match="sorted"):
            catalogue(*ids).write(tmp_path)


def test_a_missing_catalogue_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=CATALOGUE):
        Catalogue.open(tmp_path)


def test_a_broken_catalogue_is_refused(tmp_path: Path) -> None:
    (tmp_path / CATALOGUE).write_bytes(b"not a database at all" * 100)
    with pytest.raises(Mismatch, match=CATALOGUE):
        Catalogue.open(tmp_path)


def test_a_catalogue_that_lost_a_video_is_refused(tmp_path: Path) -> None:
    catalogue("a", "b", "c").write(tmp_path)
    database = sqlite3.connect(tmp_path / CATALOGUE)
    with database:
        database.execute("delete from videos where id = 'b'")
    database.close()
    with pytest.raises(Mismatch, match="ordinal"):
        Catalogue.open(tmp_path)


def test_an_empty_catalogue_is_empty(tmp_path: Path) -> None:
    catalogue().write(tmp_path)
    assert len(Catalogue.open(tmp_path)) == 0
