"""The measurement of ingest beside decoding, on real files with a real encoder."""

from fractions import Fraction
from pathlib import Path

import pytest

from bench.decoding import decode
from bench.films import RATE, TINY, make
from bench.ingest_speed import measure, table
from engine.errors import InvalidInput
from tests.trainer.ingest.factories import packet_times, regular, write_video
from tests.workers.ranker.factories import tiny_clip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("speed")
    tiny_clip(root / "encoder")
    write_video(root / "videos" / "a.mp4", regular(4, 10))
    return root


def test_every_stage_is_measured_on_the_same_files(folder: Path) -> None:
    rows = measure([folder / "videos"], str(folder / "encoder"), device="cpu", runs=1)
    assert [(row.stage, row.pictures) for row in rows] == [
        ("every picture", 40),
        ("decode", 40),
        ("decode + sample", 40),
        ("encode", 4),
        ("ingest", 40),
    ]
    assert rows[1].of_decoding == 1
    assert all(row.seconds > 0 and row.video_seconds == pytest.approx(4) for row in rows)
    assert rows[4].of_decoding == pytest.approx(rows[1].seconds / rows[4].seconds)
    assert 20 < rows[4].peak_mb < 20_000
    assert len(table(rows).splitlines()) == 6


def test_a_file_that_fails_spoils_the_measurement(folder: Path, tmp_path: Path) -> None:
    cut = write_video(tmp_path / "cut.mkv", regular(6, 10))
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    with pytest.raises(InvalidInput, match="leave it out"):
        measure([cut], str(folder / "encoder"), device="cpu", runs=1)


def test_films_are_whole_and_need_not_be_decoded_whole(tmp_path: Path) -> None:
    folder = make(tmp_path, TINY)
    files = sorted(folder.iterdir())
    assert [len(packet_times(file)) for file in files] == [4 * RATE, 2 * RATE, 2 * RATE]
    assert len({file.read_bytes() for file in files}) == 3
    for file in files:
        everything = decode(file)
        assert everything == len(packet_times(file))
        assert decode(file, Fraction(1)) < 0.8 * everything
    assert make(tmp_path, TINY) == folder
