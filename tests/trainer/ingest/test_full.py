"""Full disks: an ingest names what found no room, with the reason for which it may be tried again."""

import os
from pathlib import Path
from typing import NoReturn

import pytest

from engine.errors import InvalidInput, SprError, Unavailable
from tests.trainer.ingest.factories import regular, write_video
from tests.trainer.ingest.levels import run
from trainer.ingest.passes import Pass, Task, Told
from trainer.ingest.storing import Storing
from trainer.ingest.transcripts import Transcripts

FULL, FORBIDDEN = 28, 13


class Writes:
    """A maker that writes nothing, as the disk says no."""

    def __init__(self, error: OSError) -> None:
        self.error = error

    def open(self) -> None:
        """Load nothing."""

    def make(self, task: Task, engine: None, told: Told) -> NoReturn:
        raise self.error


def refused(number: int, name: str | None) -> OSError:
    return OSError(number, os.strerror(number), name)


@pytest.mark.parametrize("name", ["c/transcripts/a.vtt", None])
def test_a_pass_names_what_found_no_room(tmp_path: Path, name: str | None) -> None:
    todo = [(Task(Path("a.mp4"), "a", Transcripts(tmp_path / "c")), 1.0)]
    for number, kind, remedy in ((FULL, Unavailable, "make room"), (FORBIDDEN, InvalidInput, "permissions")):
        one = Pass(Writes(refused(number, name)), None, False, lambda _: None, lambda *_: None)
        with pytest.raises(kind, match=remedy) as told:
            one.run(todo, lambda *_: None)
        assert str(told.value).startswith(f"{name or tmp_path / 'c'} cannot be ")
        assert (told.value.reason == "DISK_FULL") == (number == FULL)


def test_what_is_stored_of_a_video_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> NoReturn:
        raise refused(FULL, "c/pictures/a.jpg")

    (tmp_path / "videos").mkdir()
    write_video(tmp_path / "videos" / "a.mp4", regular(1, 5))
    monkeypatch.setattr(Storing, "write", full)
    with pytest.raises(SprError, match=r"c/pictures/a\.jpg cannot be written .*: make room") as told:
        run(tmp_path)
    assert told.value.reason == "DISK_FULL"
