"""The measurement of ingest beside decoding, on real files with a real encoder."""

from pathlib import Path

import pytest

from bench.ingest_speed import measure, table
from engine.errors import InvalidInput
from tests.trainer.ingest.factories import regular, write_video
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
        ("decode", 40),
        ("decode + sample", 40),
        ("encode", 4),
        ("ingest", 40),
    ]
    assert rows[0].of_decoding == 1
    assert all(row.seconds > 0 and row.video_seconds == pytest.approx(4) for row in rows)
    assert rows[3].of_decoding == pytest.approx(rows[0].seconds / rows[3].seconds)
    assert len(table(rows).splitlines()) == 5


def test_a_file_that_fails_spoils_the_measurement(folder: Path, tmp_path: Path) -> None:
    cut = write_video(tmp_path / "cut.mkv", regular(6, 10))
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    with pytest.raises(InvalidInput, match="leave it out"):
        measure([cut], str(folder / "encoder"), device="cpu", runs=1)
