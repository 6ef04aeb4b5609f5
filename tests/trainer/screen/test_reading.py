"""Videos to what is written in them, by the real reader."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.errors import Unavailable
from engine.files import sha256
from spr_cli.transcribing import read_first
from tests import numeric
from tests.trainer.screen.factories import moving, stands, write_film, written
from trainer.ingest import screens
from trainer.ingest.errors import BadVideo
from trainer.ingest.passes import Task
from trainer.ingest.scan import survey
from trainer.ingest.summary import Summary
from trainer.ingest.transcripts import Transcripts
from trainer.screen.areas import read_new
from trainer.screen.engine import RapidOcr, Reading
from trainer.screen.reading import Outcome, read_screen
from trainer.screen.run import ScreensRead, read_screens
from trainer.screen.setting import reads_screens
from trainer.screen.watching import changed, grey_of


@dataclass
class Counting:
    """The reader, counting. breaks: after so many pictures, as by a kill."""

    real: RapidOcr
    breaks: int = 1000
    read_pictures: int = 0
    threads: int = 1
    name: str = field(default="")

    def __post_init__(self) -> None:
        self.name = self.real.name

    def read(self, image: NDArray[np.uint8]) -> list[Reading]:
        if self.read_pictures == self.breaks:
            raise KeyboardInterrupt
        self.read_pictures += 1
        return self.real.read(image)


@pytest.fixture(scope="module")
def engine() -> RapidOcr:
    return RapidOcr(1)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A slide for 4 s, then a line more for 3 s; then something moves, with a plate for its last 3 of 6 s."""
    scenes = [moving(number) for number in range(24)]
    plates = [written("RE16 KLM", over=scene, letters=30) for scene in scenes[12:]]
    lines = ("Harbour budget", "second quarter")
    slides = stands((written(*lines[:1], letters=20), 4), (written(*lines, letters=20), 3))
    return write_film(tmp_path_factory.mktemp("film") / "film.mp4", [*slides, *scenes[:12], *plates])


def task(collection: Path, video: Path) -> Task:
    return Task(video, sha256(video), Transcripts.of_screens(collection))


def test_texts_have_their_times_and_places(film: Path, tmp_path: Path, engine: RapidOcr) -> None:
    mine, told = task(tmp_path, film), list[float]()
    outcome = read_screen(mine, engine, told.append)
    found = {line.text: line for line in screens.read(mine.transcripts.path(mine.content))}
    assert set(found) == {"Harbour budget", "second quarter", "RE16 KLM"}
    spans = {"Harbour budget": (0, 7), "second quarter": (4, 7), "RE16 KLM": (10, 13)}
    for text, span in spans.items():
        within = 1.01 if "KLM" in text else 0.51
        numeric.close((found[text].start, found[text].end), span, within, scale=1)
    left, top, right, bottom = found["RE16 KLM"].box or (0, 0, 0, 0)
    assert (left < 0.08, 0.3 < right < 0.7, top < 0.16, 0.2 < bottom < 0.4) == (True,) * 4
    assert outcome.lines == 3
    assert outcome.readings <= 10
    assert told == sorted(told)


def test_a_killed_reading_goes_on_at_the_picture(film: Path, tmp_path: Path, engine: RapidOcr) -> None:
    whole = task(tmp_path / "whole", film)
    counted = Counting(engine)
    read_screen(whole, counted, lambda _: None)
    mine = task(tmp_path / "killed", film)
    with pytest.raises(KeyboardInterrupt):
        read_screen(mine, Counting(engine, breaks=3), lambda _: None)
    with mine.partial.open("a") as partial:
        partial.write('{"at": "torn')
    second = Counting(engine)
    read_screen(mine, second, lambda _: None)
    assert second.read_pictures == counted.read_pictures - 3
    assert (
        mine.transcripts.path(mine.content).read_bytes() == whole.transcripts.path(whole.content).read_bytes()
    )
    assert not mine.partial.exists()


def test_only_what_is_new_is_read(engine: RapidOcr) -> None:
    pictures = [written(*lines, letters=20) for lines in (("Harbour",), ("Harbour", "", "second quarter"))]
    before = engine.read(pictures[0])
    new = changed(*map(grey_of, pictures))
    whole, sizes = engine.read(pictures[1]), list[tuple[int, ...]]()

    class Part(Counting):
        def read(self, image: NDArray[np.uint8]) -> list[Reading]:
            sizes.append(image.shape)
            return super().read(image)

    found = read_new(Part(engine), pictures[1], new, before)
    assert [reading.text for reading in found] == [reading.text for reading in whole]
    numeric.close([reading.box for reading in found], [reading.box for reading in whole], 0.03, scale=1)
    [(high, wide, _)] = sizes
    assert high * wide < 0.4 * 320 * 180
    # What is touched by something new is read again, all of it.
    crossed = pictures[1].copy()
    crossed[20:40, 20:30] = 255
    read_new(Part(engine), crossed, changed(grey_of(crossed), grey_of(pictures[1])), whole)
    left, _, right, _ = whole[0].box
    assert sizes[-1][1] >= (right - left) * 320


def test_several_files_are_read_in_processes_and_corrected_ones_kept(tmp_path: Path) -> None:
    paths = [
        write_film(tmp_path / f"{name}.mp4", stands((written(f"{name} street", letters=20), 1)))
        for name in ("north", "south")
    ]
    (tmp_path / "broken.mp4").write_bytes(paths[0].read_bytes()[:-500])
    files, reached = survey([tmp_path]).found, list[float]()
    result = read_screens(tmp_path / "c", files, lambda done, total, name: reached.append(done))
    assert (result.videos, result.lines, result.kept) == (2, 2, 0)
    assert reached[-1] == pytest.approx(2.0)
    north, south = (Transcripts.of_screens(tmp_path / "c").path(sha256(path)) for path in paths)
    north.write_text(north.read_text().replace("north street", "North St."))
    south.write_text(south.read_text().replace("made by: rapidocr", "made by: other"))
    again = read_screens(tmp_path / "c", files, lambda *_: None)
    assert (again.videos, again.kept) == (1, 1)
    assert "North St." in north.read_text()
    assert "made by: rapidocr" in south.read_text()


def test_the_collection_remembers_that_screens_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = list[Path]()

    def read(collection: Path, *_: object) -> ScreensRead:
        asked.append(collection)
        return ScreensRead()

    monkeypatch.setattr("trainer.screen.run.read_screens", read)
    assert read_first(tmp_path, [], None) is None
    assert read_first(tmp_path, [], True) is not None
    assert read_first(tmp_path, [], None) is not None
    assert read_first(tmp_path, [], False) is None
    assert read_first(tmp_path, [], None) is None
    assert len(asked) == 2
    assert not reads_screens(tmp_path)


def test_a_missing_reader_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "rapidocr", None)
    with pytest.raises(Unavailable, match=r"pip install 'spr-engine\[screen\]'"):
        read_screens(tmp_path, [], lambda *_: None)


def test_a_picture_that_cannot_be_read_is_told(film: Path, tmp_path: Path, engine: RapidOcr) -> None:
    class Breaking(Counting):
        def read(self, image: NDArray[np.uint8]) -> list[Reading]:
            raise RuntimeError("no such operator")

    mine, result = task(tmp_path, film), ScreensRead()
    with pytest.raises(BadVideo, match="a picture of it cannot be read") as told:
        read_screen(mine, Breaking(engine), lambda _: None)
    assert not list(mine.transcripts)
    result.fail(film, str(told.value))
    summary = Summary("c", "e", "f")
    summary.read(result)
    assert "its screen was not read: a picture of it" in " ".join(summary.lines())


def test_a_result_counts() -> None:
    result = ScreensRead("reader 1")
    result.note(Outcome(3, 5, 12.0))
    result.fail(Path("a.mp4"), "why")
    assert result.line() == "read the screens of 1 videos, 3 texts in 5 pictures of 12 s (reader 1, 1 failed)"
