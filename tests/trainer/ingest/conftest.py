from pathlib import Path

import pytest

from tests.trainer.ingest.factories import regular, write_video


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    folder = tmp_path / "videos"
    write_video(folder / "long.mp4", regular(7.5, 10))
    write_video(folder / "short.mkv", regular(1, 10), size=(48, 64))
    write_video(folder / "sub" / "lapse.mp4", [0, 3000, 4000])
    (folder / "long.srt").write_text("1\n00:00:02,000 --> 00:00:03,500\nhello\n")
    return folder
