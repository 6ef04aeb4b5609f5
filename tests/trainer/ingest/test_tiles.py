"""Pictures that are made while a video is ingested."""

import io
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.trainer.ingest.factories import grey, regular, write_video
from trainer.ingest import tiles
from trainer.ingest.tiles import Film, Tiles
from trainer.ingest.video import Sample, VideoSampler


def sample(row: int, rows: int, level: int = 0) -> Sample:
    return Sample(np.full((20, 30, 3), level, np.uint8), row, rows, None, float(row))


def level_at(made: Tiles, seconds: float) -> float:
    data = made.at(seconds)
    assert data is not None
    return float(np.asarray(Image.open(io.BytesIO(data))).mean())


def test_every_second_has_the_frame_that_was_on_the_screen(tmp_path: Path) -> None:
    video = write_video(tmp_path / "a.mp4", regular(12.0, 10), size=(64, 48))
    film = Film(tiles.key_of(video), Fraction(2))
    for each in VideoSampler(video, Fraction(2), 32):
        film.add(each)
    film.write(tmp_path / tiles.DIRECTORY)
    made = Tiles.open(tmp_path, video)
    for seconds in (0.0, 3.0, 11.0):
        assert abs(level_at(made, seconds) - grey(round(10 * seconds))) < 6
    assert made.at(40.0) is None
    # A video that moves keeps them; one that changes has none.
    moved = video.rename(tmp_path / "b.mp4")
    assert Tiles.open(tmp_path, moved).at(3.0) == made.at(3.0)
    moved.write_bytes(moved.read_bytes()[:-1])
    assert Tiles.open(tmp_path, moved).at(3.0) is None


def test_a_damaged_picture_is_not_shown(tmp_path: Path) -> None:
    video = write_video(tmp_path / "a.mp4", regular(2.0, 10))
    film = Film(tiles.key_of(video), Fraction(1))
    film.add(sample(0, 1, 10))
    film.add(sample(1, 1, 200))
    film.write(tmp_path / tiles.DIRECTORY)
    path = tmp_path / tiles.DIRECTORY / film.key
    data = bytearray(path.read_bytes())
    data[-9] ^= 1
    path.write_bytes(data)
    made = Tiles.open(tmp_path, video)
    assert abs(level_at(made, 0.0) - 10) < 3
    assert made.at(1.0) is None
    path.write_bytes(data[:30])
    assert Tiles.open(tmp_path, video).at(0.0) is None


def test_a_long_video_has_no_more_than_fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiles, "MOST", 8)
    video = write_video(tmp_path / "a.mp4", regular(1.0, 5))
    film = Film(tiles.key_of(video), Fraction(1))
    # One that stands still for three seconds is kept once.
    for row, rows in ((0, 1), (1, 3), *((n, 1) for n in range(4, 14))):
        film.add(sample(row, rows, 10 * row))
    film.write(tmp_path / tiles.DIRECTORY)
    made = Tiles.open(tmp_path, video)
    assert abs(level_at(made, 12.0) - 120) < 4
    assert abs(level_at(made, 2.0) - 10) < 4
    assert (tmp_path / tiles.DIRECTORY / film.key).stat().st_size < 8 * 1000
