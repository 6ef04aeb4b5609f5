"""`spr ingest --watch`: which files it tries again."""

from pathlib import Path

import pytest

from engine.errors import InvalidInput, Unavailable
from spr_cli.ingest_watch import AGAIN, look
from trainer.library import watching
from trainer.library.watching import INTERVAL, Folders


@pytest.mark.parametrize(
    ("refused", "again", "pause"),
    [
        (Unavailable("c cannot be written: make room.", "DISK_FULL"), True, AGAIN),
        (OSError(28, "No space left on device", "c/texts/x"), True, AGAIN),
        (MemoryError(), True, AGAIN),
        (Unavailable("another process writes c", "WRITER_RUNNING"), True, INTERVAL),
        (InvalidInput("no video can be read"), False, INTERVAL),
    ],
    ids=["full", "disk", "memory", "writer", "files"],
)
def test_what_found_no_room_is_added_when_there_is_some(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], refused: Exception, again: bool, pause: float
) -> None:
    folder = tmp_path / "videos"
    folder.mkdir()
    (folder / "a.mp4").touch()
    watched, tried = Folders([folder], quiet=0.0), list[Path]()

    def full(paths: list[Path]) -> None:
        raise refused

    told = ""
    for _ in range(2):
        told, seconds = look(watched, tmp_path, full, told)
    assert capsys.readouterr().err.count("spr: ") == 1
    assert seconds == (pause if again else INTERVAL)
    told, _ = look(watched, tmp_path, tried.extend, told)
    # What is told again after that is told anew.
    assert bool(told) != again
    assert [path.name for path in tried] == (["a.mp4"] if again else [])


def test_what_was_deleted_is_left_out_and_told_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "left_out", lambda _, ready: sorted(ready)[:1])
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / name).touch()
    watched, tried = Folders([tmp_path], quiet=0.0), list[Path]()
    look(watched, tmp_path, tried.extend, "")
    assert [path.name for path in tried] == ["b.mp4"]
    assert "a.mp4: it was deleted" in capsys.readouterr().err
    look(watched, tmp_path, tried.extend, "")
    assert (len(tried), capsys.readouterr().err) == (1, "")
